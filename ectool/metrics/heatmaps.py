"""Heatmaps before they are scored: upsampling to image resolution, and checks.

``ectool.models.interpolation`` upsamples tensors by the same rule; here it is numpy, so that
stored heatmaps are scored without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

from ectool.errors import InputError

Heatmaps = Float[np.ndarray, "n h w"]
Upsampled = Float[np.ndarray, "n height width"]
Positions = Integer[np.ndarray, "target"]

_PIXELS_AT_ONCE = 2**21


def upsample_bilinear(heatmaps: Heatmaps, size: tuple[int, int]) -> Upsampled:
    """Resize heatmaps bilinearly, as torch does with ``align_corners=False``.

    ``rows @ heatmap @ columns.T`` with the two matrices of one-dimensional interpolation, clipped
    to the range of the four neighbours: constant maps stay constant, bit by bit.

    Args:
        heatmaps: Heatmaps at layer resolution.
        size: (height, width) of the result in pixels.

    Returns:
        Heatmaps of that size, float32 (float64 where the input is).
    """
    dtype = np.result_type(heatmaps.dtype, np.float32)
    rows = _interpolation(heatmaps.shape[1], size[0]).astype(dtype)
    columns = _interpolation(heatmaps.shape[2], size[1]).astype(dtype)
    upsampled: Upsampled = rows @ heatmaps.astype(dtype) @ columns.T
    low = high = heatmaps.astype(dtype)
    for axis in (1, 2):
        before, after = _neighbours(heatmaps.shape[axis], size[axis - 1])
        low = np.minimum(low.take(before, axis), low.take(after, axis))
        high = np.maximum(high.take(before, axis), high.take(after, axis))
    return np.clip(upsampled, low, high, out=upsampled)


def upsampled_parts(heatmaps: Heatmaps, size: tuple[int, int]) -> Iterator[tuple[slice, Upsampled]]:
    """Upsample heatmaps, a bounded number at a time.

    Args:
        heatmaps: Heatmaps at layer resolution.
        size: (height, width) of the result in pixels.

    Yields:
        The slice of the heatmaps, and these heatmaps upsampled.
    """
    step = max(1, _PIXELS_AT_ONCE // (size[0] * size[1]))
    for start in range(0, len(heatmaps), step):
        part = slice(start, start + step)
        yield part, upsample_bilinear(heatmaps[part], size)


def check_maps(heatmaps: Heatmaps) -> None:
    """Check that heatmaps are raw and rectified.

    Raises:
        InputError: A heatmap is negative or not finite.
    """
    bad = ~(np.isfinite(heatmaps) & (heatmaps >= 0)).all(axis=(1, 2))
    if bad.any():
        raise InputError(
            f"heatmap {int(bad.argmax())}",
            expected="finite values of at least 0",
            got="negative or non-finite values",
            fix="apply ReLU to the heatmaps and check the model for overflow",
        )


def check_paired(heatmaps: Heatmaps, annotations: Sized, what: str) -> None:
    """Check that there is one annotation for each heatmap.

    Raises:
        InputError: They differ in number.
    """
    if len(heatmaps) != len(annotations):
        raise InputError(
            what,
            expected=f"{len(heatmaps)}, one per heatmap",
            got=str(len(annotations)),
            fix=f"join heatmaps and {what} on their sample ids first",
        )


def is_zero_map(heatmaps: Heatmaps) -> Bool[np.ndarray, "n"]:
    """Return which heatmaps are zero everywhere.

    Args:
        heatmaps: Raw heatmaps, at least 0.

    Returns:
        True for heatmaps without any evidence.
    """
    return np.logical_not(heatmaps.any(axis=(1, 2)))


def _neighbours(source: int, target: int) -> tuple[Positions, Positions]:
    """Return the two source positions between which each target position lies."""
    at = (2 * np.arange(target) + 1) * source - target  # integers, so that nothing is rounded
    low = np.minimum(np.maximum(at, 0) // (2 * target), source - 1)
    return low, np.minimum(low + 1, source - 1)


def _interpolation(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    distance = np.abs(position[:, None] - np.arange(source))
    return np.asarray(np.maximum(1 - distance, 0))
