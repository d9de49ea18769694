"""Localization of objects by heatmaps: pointing game, energy inside, relevance rank, mask IoU.

Heatmaps are raw, at layer resolution; they are upsampled here, a bounded number at a time. Every
score is one float per sample. It is NaN where the mask contains no object. A heatmap that is zero
everywhere is a miss in the pointing game and overlaps with nothing. Its energy has no distribution
and its pixels have no order, so energy inside and relevance rank are NaN; ``is_zero_map`` counts
such maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Integer

from ectool.metrics.heatmaps import (
    Heatmaps,
    Upsampled,
    check_maps,
    check_paired,
    is_zero_map,
    upsampled_parts,
)

Masks = Bool[np.ndarray, "m height width"]
Scores = Float64[np.ndarray, "n"]

_POINTING_SIDE = 224
_DIFFICULT_SHARE = 0.25


def box_masks(
    boxes: Integer[np.ndarray, "n 4"], size: tuple[int, int]
) -> Bool[np.ndarray, "n height width"]:
    """Fill boxes, for data sets that annotate boxes but no outlines.

    Args:
        boxes: (x0, y0, x1, y1) in pixels, end-exclusive; clipped to the image.
        size: (height, width) of the images in pixels.

    Returns:
        Masks, True inside the box.
    """
    x0, y0, x1, y1 = (boxes[:, i, None] for i in range(4))
    y, x = np.arange(size[0]), np.arange(size[1])
    rows, columns = (y0 <= y) & (y < y1), (x0 <= x) & (x < x1)
    return rows[:, :, None] & columns[:, None, :]


def filled_boxes(
    boxes: Sequence[Integer[np.ndarray, "_ 4"]], size: tuple[int, int]
) -> Bool[np.ndarray, "n height width"]:
    """Return the pixels inside any box of each image.

    Args:
        boxes: Boxes of each image, see `box_masks`; an image may have none.
        size: (height, width) of the images in pixels.

    Returns:
        One mask per image.
    """
    filled = np.zeros((len(boxes), *size), np.bool_)
    for mask, own in zip(filled, boxes, strict=True):
        mask[:] = box_masks(own, size).any(axis=0)
    return filled


def peak_positions(heatmaps: Heatmaps, size: tuple[int, int]) -> Float64[np.ndarray, "n 2"]:
    """Return the position of each heatmap's maximum.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        size: (height, width) of the images in pixels.

    Returns:
        (x, y) of the first maximum in row-major order of the upsampled heatmap, in pixels from 0;
        NaN for a zero map.

    Raises:
        InputError: A heatmap is negative or not finite.
    """
    check_maps(heatmaps)
    positions = np.full((len(heatmaps), 2), np.nan)
    for part, upsampled in upsampled_parts(heatmaps, size):
        rows, columns = _peaks(upsampled)
        positions[part] = np.stack([columns, rows], axis=1)
    positions[is_zero_map(heatmaps)] = np.nan
    return positions


def is_difficult(masks: Masks, has_other_class: Bool[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
    """Return which samples are difficult ones of the pointing game.

    Their objects cover less than a quarter of the image, which also shows another class (Zhang et
    al. 2016, section 4.1, who add up the areas of boxes). To restrict ``pointing_game``, or another
    score, to difficult samples, set the others to NaN.

    Args:
        masks: Objects of the explained class.
        has_other_class: Whether the image shows an object of another class.

    Returns:
        True for difficult samples.
    """
    area = masks.mean(axis=(1, 2))
    return np.asarray((area > 0) & (area < _DIFFICULT_SHARE) & has_other_class)


def pointing_game(heatmaps: Heatmaps, masks: Masks, *, tolerance: float = 15.0) -> Scores:
    """Return whether the maximum of each heatmap is on the object or close to it.

    A hit is an object pixel within ``tolerance * min(height, width) / 224`` pixels (Euclidean)
    of the first maximum in row-major order of the upsampled heatmap. Zhang et al., Top-down
    Neural Attention by Excitation Backprop, ECCV 2016, https://arxiv.org/abs/1608.00507, use
    15 pixels for images of any size; the scaling with the image is our choice.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at image resolution.
        tolerance: Radius of the accepted neighbourhood, in pixels of an image of side 224.

    Returns:
        1 for a hit, 0 for a miss or a zero map, NaN without an object.

    Raises:
        InputError: Heatmaps and masks differ in number, or a heatmap is negative or not finite.
    """
    radius = tolerance * min(masks.shape[1:]) / _POINTING_SIDE

    def hits(upsampled: Upsampled, objects: Masks) -> Scores:
        row, column = (axis[:, None, None] for axis in _peaks(upsampled))
        y, x = np.ogrid[: objects.shape[1], : objects.shape[2]]
        near = (y - row) ** 2 + (x - column) ** 2 <= radius**2
        hit = (near & objects).any(axis=(1, 2))
        return np.asarray(hit & ~is_zero_map(upsampled), np.float64)

    return _score_in_parts(hits, heatmaps, masks)


def energy_inside(heatmaps: Heatmaps, masks: Masks) -> Scores:
    """Return the share of each heatmap's energy that is on the object.

    ``sum(heatmap * mask) / sum(heatmap)`` of the upsampled heatmap. This formula has three names:

    - energy-based pointing game, Wang et al., Score-CAM, CVPRW 2020,
      https://arxiv.org/abs/1910.01279, of boxes (``box_masks``);
    - content heatmap, Pillai and Pirsiavash, AAAI 2021, and Pillai et al. (CGC), CVPR 2022,
      https://arxiv.org/abs/2110.00527, of boxes; their program skips heatmaps that sum to zero
      without counting them; here they are NaN, and ``is_zero_map`` counts them;
    - relevance mass accuracy, Arras et al. (CLEVR-XAI) 2022, https://arxiv.org/abs/2003.07258, of
      masks; heatmaps are at least 0 here, so signs have no effect.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at image resolution.

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


def relevance_rank(heatmaps: Heatmaps, masks: Masks) -> Scores:
    """Return the share of the K most relevant pixels that is on the object of K pixels.

    ``|top K pixels of the heatmap and mask| / K``: relevance rank accuracy, Arras et al.
    (CLEVR-XAI) 2022, https://arxiv.org/abs/2003.07258. Deviation: pixels equal to the K-th one
    count with equal shares, the mean over all orders of them.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at image resolution.

    Returns:
        Shares, 0 to 1; NaN for a zero map or without an object.

    Raises:
        InputError: Heatmaps and masks differ in number, or a heatmap is negative or not finite.
    """

    def shares(upsampled: Upsampled, objects: Masks) -> Scores:
        values, inside = _flat(upsampled), objects.reshape(len(objects), -1)
        size = inside.sum(axis=1)
        last = np.sort(values, axis=1)[np.arange(len(size)), -np.maximum(size, 1)][:, None]
        is_above, is_tied = values > last, values == last
        places = size - is_above.sum(axis=1)
        on_tied = places * (is_tied & inside).sum(axis=1) / is_tied.sum(axis=1)
        share = ((is_above & inside).sum(axis=1) + on_tied) / np.maximum(size, 1)
        return np.where(is_zero_map(upsampled), np.nan, share)

    return _score_in_parts(shares, heatmaps, masks)


def mask_iou(heatmaps: Heatmaps, masks: Masks, *, threshold: float = 0.5) -> Scores:
    """Return the intersection over union of each binarised heatmap with the object.

    The region of the heatmap is ``upsampled >= threshold * max(upsampled)``, the rule of Zhou et
    al., CVPR 2016, https://arxiv.org/abs/1512.04150 (with threshold 0.2, and a box).

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        masks: Object masks at image resolution.
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
    check_paired(heatmaps, masks, "object masks")
    check_maps(heatmaps)
    scores = np.empty(len(heatmaps))
    for part, upsampled in upsampled_parts(heatmaps, (masks.shape[1], masks.shape[2])):
        scores[part] = score(upsampled, masks[part])
    scores[~masks.any(axis=(1, 2))] = np.nan
    return scores


def _peaks(upsampled: Upsampled) -> tuple[Integer[np.ndarray, "n"], Integer[np.ndarray, "n"]]:
    """Return row and column of the first maximum of each heatmap."""
    rows, columns = np.unravel_index(_flat(upsampled).argmax(axis=1), upsampled.shape[1:])
    return rows, columns


def _flat(maps: Upsampled) -> Float[np.ndarray, "n pixels"]:
    return maps.reshape(len(maps), -1)
