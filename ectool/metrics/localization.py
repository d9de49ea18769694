"""Does the heatmap lie on the object: pointing game, energy inside, mask IoU.

Heatmaps arrive raw, at layer resolution, and are upsampled here, a bounded number at a time.
Every score is one float per sample. It is NaN where the mask holds no object: there is nothing to
find. A heatmap that is zero everywhere points nowhere, so it misses the pointing game and overlaps
with nothing, but its energy has no distribution and is NaN; ``is_zero_map`` counts such maps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

from ectool.errors import InputError

Heatmaps = Float[np.ndarray, "n h w"]
Masks = Bool[np.ndarray, "m height width"]
Upsampled = Float[np.ndarray, "n height width"]
Scores = Float64[np.ndarray, "n"]

_PIXELS_AT_ONCE = 2**21
_POINTING_SIDE = 224


def upsample_bilinear(heatmaps: Heatmaps, size: tuple[int, int]) -> Upsampled:
    """Resize heatmaps bilinearly, as torch does with ``align_corners=False``.

    ``rows @ heatmap @ columns.T`` with the two matrices of one-dimensional interpolation.

    Args:
        heatmaps: Heatmaps at layer resolution.
        size: (height, width) wanted, in pixels.

    Returns:
        Heatmaps of that size, float32 (float64 where the input is).
    """
    dtype = np.result_type(heatmaps.dtype, np.float32)
    rows = _interpolation(heatmaps.shape[1], size[0]).astype(dtype)
    columns = _interpolation(heatmaps.shape[2], size[1]).astype(dtype)
    upsampled: Upsampled = rows @ heatmaps.astype(dtype) @ columns.T
    return upsampled


def box_masks(
    boxes: Integer[np.ndarray, "n 4"], size: tuple[int, int]
) -> Bool[np.ndarray, "n height width"]:
    """Fill boxes, for data sets that know boxes but not outlines.

    Args:
        boxes: (x0, y0, x1, y1) in pixels, end-exclusive; clipped to the picture.
        size: (height, width) of the pictures in pixels.

    Returns:
        Masks, True inside the box.
    """
    x0, y0, x1, y1 = (boxes[:, i, None] for i in range(4))
    y, x = np.arange(size[0]), np.arange(size[1])
    rows, columns = (y0 <= y) & (y < y1), (x0 <= x) & (x < x1)
    return rows[:, :, None] & columns[:, None, :]


def is_zero_map(heatmaps: Heatmaps) -> Bool[np.ndarray, "n"]:
    """Tell which heatmaps are zero everywhere.

    Args:
        heatmaps: Raw heatmaps, at least 0.

    Returns:
        True for heatmaps without any evidence.
    """
    return np.logical_not(heatmaps.any(axis=(1, 2)))


def pointing_game(heatmaps: Heatmaps, masks: Masks, *, tolerance: float = 15.0) -> Scores:
    """Tell whether the maximum of each heatmap lies on the object or close to it.

    A hit is an object pixel within ``tolerance * min(height, width) / 224`` pixels (Euclidean)
    of the first maximum in row-major order of the upsampled heatmap. Zhang et al., Top-down
    Neural Attention by Excitation Backprop, ECCV 2016, https://arxiv.org/abs/1608.00507, use
    15 pixels at the pictures' own size; that it scales with the picture is ours.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at picture resolution.
        tolerance: Radius of the accepted neighbourhood, in pixels of a picture of side 224.

    Returns:
        1 for a hit, 0 for a miss or a zero map, NaN without an object.

    Raises:
        InputError: Heatmaps and masks differ in number, or a heatmap is negative or not finite.
    """
    radius = tolerance * min(masks.shape[1:]) / _POINTING_SIDE

    def hits(upsampled: Upsampled, objects: Masks) -> Scores:
        points = np.unravel_index(_flat(upsampled).argmax(axis=1), objects.shape[1:])
        row, column = (axis[:, None, None] for axis in points)
        y, x = np.ogrid[: objects.shape[1], : objects.shape[2]]
        near = (y - row) ** 2 + (x - column) ** 2 <= radius**2
        hit = (near & objects).any(axis=(1, 2))
        return np.asarray(hit & ~is_zero_map(upsampled), np.float64)

    return _score_in_parts(hits, heatmaps, masks)


def energy_inside(heatmaps: Heatmaps, masks: Masks) -> Scores:
    """Return the share of each heatmap's energy that falls on the object.

    ``sum(heatmap * mask) / sum(heatmap)`` of the upsampled heatmap: the energy-based pointing
    game of Wang et al., Score-CAM, CVPRW 2020, https://arxiv.org/abs/1910.01279, with the mask
    in place of the box (``box_masks`` gives theirs).

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at picture resolution.

    Returns:
        Shares, 0 to 1; NaN for a zero map or without an object.

    Raises:
        InputError: Heatmaps and masks differ in number, or a heatmap is negative or not finite.
    """

    def shares(upsampled: Upsampled, objects: Masks) -> Scores:
        inside = np.where(objects, upsampled, 0).sum(axis=(1, 2), dtype=np.float64)
        total = upsampled.sum(axis=(1, 2), dtype=np.float64)
        share = np.full(len(total), np.nan)
        np.divide(inside, total, out=share, where=total > 0)
        return share

    return _score_in_parts(shares, heatmaps, masks)


def mask_iou(heatmaps: Heatmaps, masks: Masks, *, threshold: float = 0.5) -> Scores:
    """Return the intersection over union of each binarised heatmap with the object.

    The heatmap's region is ``upsampled >= threshold * max(upsampled)``, the rule by which Zhou
    et al., CVPR 2016, https://arxiv.org/abs/1512.04150, localise (they take 0.2 and a box).

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at picture resolution.
        threshold: Fraction of the heatmap's maximum, above 0, at most 1.

    Returns:
        IoU, 0 to 1; 0 for a zero map, whose region is empty; NaN without an object.

    Raises:
        InputError: Heatmaps and masks differ in number, or a heatmap is negative or not finite.
    """

    def overlaps(upsampled: Upsampled, objects: Masks) -> Scores:
        peak = upsampled.max(axis=(1, 2), keepdims=True)
        region = (upsampled >= threshold * peak) & (peak > 0)
        union = (region | objects).sum(axis=(1, 2))
        intersection = (region & objects).sum(axis=(1, 2))
        return np.asarray(intersection / np.maximum(union, 1))

    return _score_in_parts(overlaps, heatmaps, masks)


def _score_in_parts(
    score: Callable[[Upsampled, Masks], Scores],
    heatmaps: Heatmaps,
    masks: Masks,
) -> Scores:
    _check(heatmaps, masks)
    height, width = masks.shape[1:]
    step = max(1, _PIXELS_AT_ONCE // (height * width))
    scores = np.empty(len(heatmaps))
    for start in range(0, len(heatmaps), step):
        part = slice(start, start + step)
        scores[part] = score(upsample_bilinear(heatmaps[part], (height, width)), masks[part])
    scores[~masks.any(axis=(1, 2))] = np.nan
    return scores


def _check(heatmaps: Heatmaps, masks: Masks) -> None:
    if len(heatmaps) != len(masks):
        raise InputError(
            "object masks",
            expected=f"{len(heatmaps)}, one per heatmap",
            got=str(len(masks)),
            fix="join heatmaps and masks on their sample ids first",
        )
    bad = ~(np.isfinite(heatmaps) & (heatmaps >= 0)).all(axis=(1, 2))
    if bad.any():
        raise InputError(
            f"heatmap {int(bad.argmax())}",
            expected="finite values of at least 0",
            got="negative or non-finite values",
            fix="apply ReLU to the heatmaps and check the model for overflow",
        )


def _interpolation(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    distance = np.abs(position[:, None] - np.arange(source))
    return np.asarray(np.maximum(1 - distance, 0))


def _flat(maps: Upsampled) -> Float[np.ndarray, "n pixels"]:
    return maps.reshape(len(maps), -1)
