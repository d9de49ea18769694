"""Pictures as levels, and as numbers in [0, 1] to compute with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8

Image = UInt8[np.ndarray, "3 h w"]
Planes = Float32[np.ndarray, "3 h w"]


def to_unit(image: Image) -> Planes:
    """Map levels 0 to 255 to [0, 1]."""
    planes: Planes = image / np.float32(255)
    return planes


def to_levels(planes: Float[np.ndarray, "3 h w"]) -> Image:
    """Clip to [0, 1] and round to the nearest of the levels 0 to 255."""
    levels: Image = np.rint(np.clip(planes, 0, 1) * 255).astype(np.uint8)
    return levels
