"""Names of the data sets, and the limit of their images."""

from __future__ import annotations

DATA_SETS = (
    "csv",
    "cub200",
    "digits",
    "hf",
    "imagefolder",
    "imagenet9",
    "letters",
    "stl10",
    "torchvision",
    "voc2007",
    "voc2012",
    "zarr",
)
"""Names of the data sets, for hints and completion; a test compares them with the registry."""
MAX_PIXELS = 178_956_970
"""Pixels above which Pillow, too, refuses an image by default."""
