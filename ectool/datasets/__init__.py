"""Files to pictures, labels, masks and stable ids; one data set a file."""
