"""Reports: figures, tables and pages from numbers and images in memory."""
