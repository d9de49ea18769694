"""Small helpers on arrays that data sets share."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64


def boxes_of(masks: Bool[np.ndarray, "n h w"]) -> Int64[np.ndarray, "n 4"]:
    """Return the tightest box around the object of each mask.

    Args:
        masks: Object masks, True on the object.

    Returns:
        (x0, y0, x1, y1) in pixels, end-exclusive; four zeros for a mask without object.
    """
    x0, x1 = _extent(np.asarray(masks.any(axis=1)))
    y0, y1 = _extent(np.asarray(masks.any(axis=2)))
    return np.stack([x0, y0, x1, y1], axis=1)


def _extent(
    occupied: Bool[np.ndarray, "n length"],
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    first = occupied.argmax(axis=1)
    last = occupied.shape[1] - occupied[:, ::-1].argmax(axis=1)
    return first, np.where(occupied.any(axis=1), last, 0)
