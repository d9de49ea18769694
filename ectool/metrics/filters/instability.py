"""Interpretability of the filters of a layer: their location instability.

Zhang, Wu, Zhu, Interpretable Convolutional Neural Networks, CVPR 2018,
https://arxiv.org/abs/1710.00935, section 4.4. For the same measure of heatmaps see `parts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64, Integer

from ectool.metrics.statistics import bootstrap_interval
from ectool.types import Estimate

FilterMaps = Float[np.ndarray, "n c h w"]
Boxes = Float[np.ndarray, "_ 4"] | Integer[np.ndarray, "_ 4"]
Landmarks = Float64[np.ndarray, "n p 3"]
COLUMNS_AT_ONCE = 4096


def filter_peaks(maps: FilterMaps, size: tuple[int, int]) -> Float64[np.ndarray, "n c 2"]:
    """Return where each filter is most active, (x, y) in pixels of the image.

    It is the centre of the cell with the maximum, ``((column + 1/2) * width / w - 1/2, ...)``: the
    centre of its receptive field, where a network pads its borders evenly.

    Args:
        maps: Maps of the filters, at least 0.
        size: (height, width) of the images in pixels.

    Returns:
        The first maximum in row-major order; NaN for a map that is zero everywhere.
    """
    height, width = maps.shape[2:]
    flat = maps.reshape(*maps.shape[:2], -1)
    rows, columns = np.divmod(flat.argmax(2), width)
    x = (columns + 0.5) * size[1] / width - 0.5
    y = (rows + 0.5) * size[0] / height - 0.5
    peaks = np.stack([x, y], axis=2)
    peaks[flat.max(2) <= 0] = np.nan
    return peaks


def filter_classes(maps: FilterMaps, labels: Integer[np.ndarray, "n"]) -> Int64[np.ndarray, "c"]:
    """Return the class of each filter: the one whose images activate it most.

    ``argmax_c mean_{n of class c} sum_ij maps[n, :, i, j]``, as Zhang et al. assign filters.

    Args:
        maps: Maps of the filters.
        labels: Class of each image.
    """
    classes = np.unique(labels)
    sums = maps.sum((2, 3), dtype=np.float64)
    means = np.stack([sums[labels == one].mean(0) for one in classes])
    found: Int64[np.ndarray, "c"] = classes[means.argmax(0)].astype(np.int64)
    return found


def mask_landmarks(masks: Bool[np.ndarray, "n h w"]) -> Landmarks:
    """Return the landmarks of the box around each mask; see `box_landmarks`."""
    boxes = np.zeros((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        if len(rows):
            box[:] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return box_landmarks([box[None] if box.any() else box[None][:0] for box in boxes])


def box_landmarks(boxes: Sequence[Boxes]) -> Landmarks:
    """Return five landmarks of each object: the centre and the corners of its box.

    They take the place of annotated parts, which most data sets lack.

    Args:
        boxes: Boxes (x0, y0, x1, y1) of each image, end-exclusive; the box around all of them
            counts.

    Returns:
        (x, y, visible) in pixels: centre, upper left, upper right, lower left, lower right; not
        visible in images without a box.
    """
    found = np.zeros((len(boxes), 5, 3))
    for points, own in zip(found, boxes, strict=True):
        if own.size == 0:
            continue
        left, top = own[:, :2].min(0)
        right, bottom = own[:, 2:].max(0) - 1
        points[:, 0] = (left + right) / 2, left, right, left, right
        points[:, 1] = (top + bottom) / 2, top, top, bottom, bottom
        points[:, 2] = 1
    return found


def filter_distances(
    peaks: Float64[np.ndarray, "n c 2"],
    landmarks: Float[np.ndarray, "n p 3"],
    counts: Bool[np.ndarray, "n c"],
    size: tuple[int, int],
) -> Float64[np.ndarray, "n c p"]:
    """Return the distance of each peak from each landmark, as a share of the image's diagonal.

    Args:
        peaks: See `filter_peaks`.
        landmarks: (x, y, visible) in pixels.
        counts: Which images count for which filter.
        size: (height, width) of the images in pixels.

    Returns:
        Distances; NaN where an image does not count, a landmark is not visible or a map is zero.
    """
    away = peaks[:, :, None] - landmarks[:, None, :, :2]
    distances = np.hypot(away[..., 0], away[..., 1]) / np.hypot(*size)
    seen = (landmarks[:, None, :, 2] > 0) & counts[:, :, None]
    return np.where(seen, distances, np.nan)


def filter_instability(
    distances: Float64[np.ndarray, "n c p"], *, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Return the location instability of filters, with its spread over resampled images.

    ``mean over filters f and landmarks p of std_n distances[n, f, p]``, over the pairs with at
    least two images. A filter that always finds the same part has a small deviation.

    Args:
        distances: See `filter_distances`; NaN does not count.
        resamples: Number of bootstrap resamples of the images.
        seed: Seed of the resampling.

    Returns:
        The estimate; its ends are a spread, as those of `location_instability_interval`.
    """
    flat = distances.reshape(len(distances), -1)
    counted = ~np.isnan(flat).all(0)
    columns = flat[:, counted]

    def statistic(rows: Integer[np.ndarray, "r n"]) -> Float64[np.ndarray, "r"]:
        times = np.stack([np.bincount(row, minlength=len(flat)) for row in rows]).astype(float)
        parts = range(0, columns.shape[1], COLUMNS_AT_ONCE)
        found = [_deviations(times, columns[:, at : at + COLUMNS_AT_ONCE]) for at in parts]
        deviation = np.concatenate(found, axis=1) if found else np.full((len(rows), 1), np.nan)
        counts = (~np.isnan(deviation)).sum(1)
        return np.where(counts > 0, np.nansum(deviation, 1) / np.maximum(counts, 1), np.nan)

    found = bootstrap_interval(statistic, len(flat), resamples=resamples, seed=seed)
    return replace(found, kind="spread")


def _deviations(
    times: Float64[np.ndarray, "r n"], values: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, "r k"]:
    """Return the standard deviation of each column, where row n counts `times` over."""
    known = ~np.isnan(values)
    # Shifted to their mean, so that the difference of squares keeps its digits.
    shifted = np.where(known, values - np.nanmean(values, 0), 0)
    held = times @ known
    mean = times @ shifted / np.maximum(held, 1)
    variance = times @ shifted**2 / np.maximum(held, 1) - mean**2
    return np.where(held > 1, np.sqrt(np.maximum(variance, 0)), np.nan)
