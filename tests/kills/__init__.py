"""Commands are killed at random moments; see `__main__.py`."""
