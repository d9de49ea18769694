"""The study: every objective on a grid of data sets, biases, networks and shares of the data."""
