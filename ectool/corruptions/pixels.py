"""Images as levels 0 to 255, and as values in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, UInt8
from numpy.random import Generator

Image = UInt8[np.ndarray, "3 h w"]
Images = UInt8[np.ndarray, "n 3 h w"]
Planes = Float32[np.ndarray, "n 3 h w"]
Generators = Iterable[Generator]
"""A random generator for each image; may be lazy."""


def to_unit(images: Images) -> Planes:
    """Map levels 0 to 255 to [0, 1]."""
    planes: Planes = images / np.float32(255)
    return planes


def to_levels(planes: Float[np.ndarray, "n 3 h w"]) -> Images:
    """Clip to [0, 1] and round to the nearest of the levels 0 to 255."""
    levels: Images = np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8)
    return levels


def drawn(generators: Generators, draw: Callable[[Generator], Any]) -> Float[np.ndarray, "n ..."]:
    """Stack what each image's generator draws."""
    return np.stack([draw(generator) for generator in generators])
