"""Chunks of Zarr arrays as files, read and written without zarr."""
