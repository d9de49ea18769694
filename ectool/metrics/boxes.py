"""Boxes around what a heatmap shows: MaxBoxAcc and MaxBoxAccV2.

Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020,
https://arxiv.org/abs/2001.07437. A heatmap gives a box only together with a threshold, so the
overlaps come first (``box_overlaps``, for every threshold), and then the threshold is chosen on
validation images and used on others (``max_box_acc``). The authors choose it on the images they
report, which flatters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer

from ectool.metrics.heatmaps import Heatmaps, check_maps, check_paired, upsampled_parts

Boxes = Int64[np.ndarray, "_ 4"]
Overlaps = Float64[np.ndarray, "n thresholds"]

THRESHOLDS = tuple(step / 100 for step in range(100))
"""Shares of a heatmap's range; the authors have 1000 of them."""
LEVELS = (0.3, 0.5, 0.7)
"""Overlaps from which on a box is right in MaxBoxAccV2."""
MAX_BOX_ACC_LEVEL = (0.5,)
"""The one of MaxBoxAcc."""


@dataclass(frozen=True)
class BoxOverlaps:
    """Intersection over union of the best pair of a found and a true box.

    Attributes:
        largest: With the box around the component of most pixels alone (MaxBoxAcc).
        best: With the boxes around all components (MaxBoxAccV2).
    """

    largest: Overlaps
    best: Overlaps


def box_overlaps(
    heatmaps: Heatmaps,
    boxes: Sequence[Boxes],
    size: tuple[int, int],
    thresholds: Sequence[float] = THRESHOLDS,
) -> BoxOverlaps:
    """Return how well the boxes around a heatmap's components fit, at every threshold.

    The components (pixels that touch at a side or corner) of ``scaled >= threshold`` with
    ``scaled = (heatmap - min) / (max - min)`` of the upsampled heatmap; each has its tightest box.
    Deviations from the authors' program, towards the paper: heatmaps are not rounded to 8 bits, a
    component's size is its number of pixels and not the area of its outline, holes are no
    components, and boxes are end-exclusive, as they are in the data sets.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        boxes: True boxes (x0, y0, x1, y1) of each image, end-exclusive, in pixels.
        size: (height, width) of the images in pixels.
        thresholds: Shares of each heatmap's range, 0 to below 1.

    Returns:
        Overlaps, 0 to 1: 0 for a constant heatmap, which shows nothing; NaN without a true box.

    Raises:
        InputError: Heatmaps and boxes differ in number, or a heatmap is negative or not finite.
    """
    check_paired(heatmaps, boxes, "boxes")
    check_maps(heatmaps)
    overlaps = np.zeros((2, len(heatmaps), len(thresholds)))
    for part, upsampled in upsampled_parts(heatmaps, size):
        rows = range(*part.indices(len(heatmaps)))
        for row, heatmap in zip(rows, upsampled, strict=True):
            overlaps[:, row] = _overlaps_of(heatmap, boxes[row], thresholds)
    return BoxOverlaps(largest=overlaps[0], best=overlaps[1])


def best_threshold(overlaps: Overlaps, level: float) -> int:
    """Return the column of the threshold at which most boxes are right.

    Args:
        overlaps: Of validation images, at every threshold; NaN does not count.
        level: Overlap from which on a box is right.

    Returns:
        Index of the threshold; of equally good ones the lowest.
    """
    return int((overlaps >= level).sum(axis=0).argmax())


def max_box_acc(
    overlaps: Overlaps,
    validation: Float64[np.ndarray, "v thresholds"],
    levels: Sequence[float] = LEVELS,
) -> Float64[np.ndarray, "n"]:
    """Tell for every image whether its box is right, at thresholds chosen on others.

    The mean over ``levels`` of ``overlaps[:, best_threshold(validation, level)] >= level``.
    MaxBoxAccV2 with ``BoxOverlaps.best``; MaxBoxAcc with ``BoxOverlaps.largest`` and
    ``MAX_BOX_ACC_LEVEL``. Given the same images twice it is the authors' own, optimistic number.

    Args:
        overlaps: Of the images that are reported.
        validation: Of validation images, with the same thresholds.
        levels: Overlaps from which on a box is right; each has its own threshold.

    Returns:
        Shares of the levels, 0 to 1; NaN without a true box.
    """
    right = [overlaps[:, best_threshold(validation, level)] >= level for level in levels]
    return np.where(np.isnan(overlaps).any(axis=1), np.nan, np.mean(right, axis=0))


def _overlaps_of(
    heatmap: Float[np.ndarray, "h w"], boxes: Boxes, thresholds: Sequence[float]
) -> Float64[np.ndarray, "2 thresholds"]:
    """Return the overlaps of one heatmap: with the largest component, and with any."""
    found = np.full((2, len(thresholds)), 0.0 if len(boxes) else np.nan)
    low, high = heatmap.min(), heatmap.max()
    if low == high or len(boxes) == 0:
        return found
    scaled = (heatmap - low) / (high - low)
    levels = np.asarray(thresholds, scaled.dtype)[:, None, None]
    column, components, pixels = _components(scaled >= levels)
    fit = _ious(components, boxes).max(axis=1)
    starts = np.searchsorted(column, np.arange(len(thresholds)))
    largest = np.lexsort((-pixels, column))[starts]
    return np.stack([fit[largest], np.maximum.reduceat(fit, starts)])


def _components(
    regions: Bool[np.ndarray, "r h w"],
) -> tuple[Integer[np.ndarray, "m"], Int64[np.ndarray, "m 4"], Integer[np.ndarray, "m"]]:
    """Return region, box and number of pixels of every component, region by region.

    All regions are labelled at once: a call for each takes more than twice as long on small maps.
    """
    from scipy import ndimage  # here, as importing it takes 0.2 s

    touching = np.zeros((3, 3, 3))
    touching[1] = 1  # the regions are layers that do not touch
    labels, count = ndimage.label(regions, structure=touching)
    slices = ndimage.find_objects(labels)
    boxes = [(x.start, y.start, x.stop, y.stop) for _, y, x in slices]
    pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return np.array([z.start for z, _, _ in slices]), np.array(boxes, np.int64), pixels


def _ious(
    found: Int64[np.ndarray, "m 4"], true: Int64[np.ndarray, "k 4"]
) -> Float64[np.ndarray, "m k"]:
    """Return the intersection over union of every found with every true box."""
    a, b = found[:, None], true[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = np.maximum(sides, 0).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (a, b)]
    return np.asarray(intersection / (areas[0] + areas[1] - intersection))
