"""MaxBoxAcc and MaxBoxAccV2: accuracy of the boxes around the components of a heatmap.

Choe et al., Evaluating Weakly Supervised Object Localization Methods Right, CVPR 2020,
https://arxiv.org/abs/2001.07437. The box of a heatmap depends on a threshold. ``box_overlaps``
returns the overlaps for every threshold; ``max_box_acc`` chooses the threshold on validation images
and uses it on others. The authors choose it on the reported images, which is optimistic.
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
"""Shares of a heatmap's range; the authors use 1000 of them."""
LEVELS = (0.3, 0.5, 0.7)
"""Min overlaps of a correct box in MaxBoxAccV2."""
MAX_BOX_ACC_LEVEL = (0.5,)
"""Min overlap of a correct box in MaxBoxAcc."""


@dataclass(frozen=True)
class BoxOverlaps:
    """Intersection over union of the best pair of a found and a true box.

    Attributes:
        largest: With the box around the component of most pixels only (MaxBoxAcc).
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
    """Return the overlaps of the boxes around a heatmap's components, at every threshold.

    The components (pixels that touch at a side or corner) are those of ``scaled >= threshold`` with
    ``scaled = (heatmap - min) / (max - min)`` of the upsampled heatmap; each has its tightest box.
    Deviations from the authors' program, towards the paper: heatmaps are not rounded to 8 bits, the
    size of a component is its number of pixels and not the area of its outline, holes are not
    components, and boxes are end-exclusive, as in the data sets.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        boxes: True boxes (x0, y0, x1, y1) of each image, end-exclusive, in pixels.
        size: (height, width) of the images in pixels.
        thresholds: Shares of each heatmap's range, 0 to below 1.

    Returns:
        Overlaps, 0 to 1; 0 for a constant heatmap, which has no components; NaN without a true box.

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
    """Return the column of the threshold at which most boxes are correct.

    Args:
        overlaps: Overlaps of validation images, at every threshold; NaN does not count.
        level: Min overlap of a correct box.

    Returns:
        Index of the threshold; the lowest of equally good ones.
    """
    return int((overlaps >= level).sum(axis=0).argmax())


def max_box_acc(
    overlaps: Overlaps,
    validation: Float64[np.ndarray, "v thresholds"],
    levels: Sequence[float] = LEVELS,
) -> Float64[np.ndarray, "n"]:
    """Return for every image whether its box is correct, at thresholds chosen on other images.

    The mean over ``levels`` of ``overlaps[:, best_threshold(validation, level)] >= level``:
    MaxBoxAccV2 with ``BoxOverlaps.best``, MaxBoxAcc with ``BoxOverlaps.largest`` and
    ``MAX_BOX_ACC_LEVEL``. With the same images for both it is the optimistic value of the authors.

    Args:
        overlaps: Overlaps of the reported images.
        validation: Overlaps of validation images, with the same thresholds.
        levels: Min overlaps of a correct box; each level has its own threshold.

    Returns:
        Shares of the levels, 0 to 1; NaN without a true box.
    """
    correct = [overlaps[:, best_threshold(validation, level)] >= level for level in levels]
    return np.where(np.isnan(overlaps).any(axis=1), np.nan, np.mean(correct, axis=0))


def _overlaps_of(
    heatmap: Float[np.ndarray, "h w"], boxes: Boxes, thresholds: Sequence[float]
) -> Float64[np.ndarray, "2 thresholds"]:
    """Return the overlaps of one heatmap: with the largest component, and with the best one."""
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

    All regions are labelled at once: one call per region takes over twice as long on small maps.
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
    """Return the intersection over union of every found box with every true box."""
    a, b = found[:, None], true[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    intersection = np.maximum(sides, 0).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (a, b)]
    return np.asarray(intersection / (areas[0] + areas[1] - intersection))
