"""Check every method on an accelerator against the CPU, and measure its rates there."""
