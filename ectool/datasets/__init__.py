"""Files to images, labels, masks and stable ids; one data set a file."""
