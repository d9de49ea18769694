"""Reports: figures, tables and pages from numbers and pictures in memory."""
