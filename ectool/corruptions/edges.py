"""Edges of a grey image (Canny, IEEE TPAMI 1986)."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Int32, UInt8
from scipy import ndimage

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
STEEP = math.tan(math.radians(67.5))
FLAT = math.tan(math.radians(22.5))
"""Slopes between which a gradient counts as diagonal."""


def canny(grey: UInt8[np.ndarray, "h w"], low: int, high: int) -> Bool[np.ndarray, "h w"]:
    """Return the edge pixels of an image, with the conventions of OpenCV's ``Canny``.

    An edge is a ridge of the gradient: its strength ``|dx| + |dy|`` (Sobel's 3 x 3 filters, the
    border repeated) is above ``low`` and above that of both neighbours across the ridge, in one of
    four directions. A neighbour to the right or below may have the same strength, a diagonal one
    may not. Ridge pixels are edges where they are connected to one above ``high``. The image is not
    blurred first.

    Args:
        grey: Levels 0 to 255.
        low: Strength above which an edge continues.
        high: Strength above which an edge starts.

    Returns:
        True on edges.
    """
    levels = grey.astype(np.int32)
    down, right = (ndimage.sobel(levels, axis=axis, mode="nearest") for axis in (0, 1))
    strength = np.abs(down) + np.abs(right)
    ridges = _is_ridge(strength, down, right) & (strength > low)
    parts, count = ndimage.label(ridges, EIGHT_NEIGHBOURS)
    is_edge = np.zeros(count + 1, bool)
    is_edge[parts[ridges & (strength > high)]] = True
    edges: Bool[np.ndarray, "h w"] = is_edge[parts]
    return edges


def _is_ridge(
    strength: Int32[np.ndarray, "h w"],
    down: Int32[np.ndarray, "h w"],
    right: Int32[np.ndarray, "h w"],
) -> Bool[np.ndarray, "h w"]:
    """Return where the strength is a maximum across the edge; outside the image it is 0."""
    height, width = strength.shape
    around = np.pad(strength, 1)

    def at(row: int, column: int) -> Int32[np.ndarray, "h w"]:
        return around[1 + row : 1 + row + height, 1 + column : 1 + column + width]

    along_row = (strength > at(0, -1)) & (strength >= at(0, 1))
    along_column = (strength > at(-1, 0)) & (strength >= at(1, 0))
    falling = (strength > at(-1, -1)) & (strength > at(1, 1))
    rising = (strength > at(-1, 1)) & (strength > at(1, -1))
    rise, run = np.abs(down), np.abs(right)
    diagonal = np.where((down < 0) == (right < 0), falling, rising)
    sloped = np.where(rise > STEEP * run, along_column, diagonal)
    ridges: Bool[np.ndarray, "h w"] = np.where(rise < FLAT * run, along_row, sloped)
    return ridges
