"""Published data sets: one data set a file."""
