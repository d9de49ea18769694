"""Published data sets, and the digits that are made on the spot: one data set a file."""
