from __future__ import annotations

from numpy.random import Generator

from ectool.corruptions import Corruption
from ectool.corruptions.pixels import Image


def corrupted(corruption: Corruption, image: Image, severity: int, generator: Generator) -> Image:
    """Corrupt one image."""
    (only,) = corruption(image[None], severity, [generator])
    return only
