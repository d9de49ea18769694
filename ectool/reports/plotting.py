"""Helpers of charts and figures: percent scales, error bars and mean lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ectool.types import Estimate

Line = tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]
"""Positions and values."""
STEPS = (1, 2, 2.5, 5, 10)
"""Distances between the ticks of an axis, times a power of ten."""


def percents(intervals: Sequence[Estimate], is_share: bool) -> Float[np.ndarray, "3 n"]:
    """Return values, lower and upper bounds to draw; shares in percent."""
    found: Float[np.ndarray, "3 n"]
    found = np.array([(one.value, one.low, one.high) for one in intervals], np.float64).T
    return found * (100 if is_share else 1)


def whiskers(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the lengths of error bars for matplotlib; 0 without bounds."""
    distances: np.ndarray = np.stack([value - low, high - value])
    np.nan_to_num(np.maximum(distances, 0, out=distances), copy=False)
    return distances


def mean_line(lines: Sequence[Line]) -> Line:
    """Return the mean of lines, up to the end of the shortest line."""
    length = min(len(x) for x, _ in lines)
    return lines[0][0][:length], np.mean([y[:length] for _, y in lines], axis=0)
