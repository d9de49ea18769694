"""Data sets that ectool generates on the spot; their backgrounds go with the class."""
