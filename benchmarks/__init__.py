"""Side-by-side measurements against the limit of the hardware and against the peers."""
