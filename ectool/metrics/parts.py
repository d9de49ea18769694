"""Location instability: whether the heatmaps of a class point at the same part of every object.

Zhang et al., Interpretable Convolutional Neural Networks, CVPR 2018,
https://arxiv.org/abs/1710.00935, section 4.4.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float64, Integer

from ectool.metrics.heatmaps import Heatmaps, check_paired
from ectool.metrics.localization import peak_positions
from ectool.metrics.statistics import bootstrap_interval
from ectool.types import Estimate

Distances = Float64[np.ndarray, "n p"]


def part_distances(
    heatmaps: Heatmaps, parts: Float[np.ndarray, "m p 3"], size: tuple[int, int]
) -> Distances:
    """Return the distance of each heatmap's peak from each part, as a share of the diagonal.

    ``sqrt((x_peak - x_part)^2 + (y_peak - y_part)^2) / sqrt(width^2 + height^2)``.

    Args:
        heatmaps: Raw heatmaps, finite and at least 0, of any resolution.
        parts: (x, y, visible) of the parts in pixels of the images, in one order.
        size: (height, width) of the images in pixels.

    Returns:
        Distances; NaN for a part that is not visible, and for a zero map.

    Raises:
        InputError: Heatmaps and parts differ in number, or a heatmap is negative or not finite.
    """
    check_paired(heatmaps, parts, "parts")
    away = parts[:, :, :2] - peak_positions(heatmaps, size)[:, None]
    distances = np.hypot(away[..., 0], away[..., 1]) / np.hypot(*size)
    return np.where(parts[:, :, 2] > 0, distances, np.nan)


def location_instability(distances: Distances, labels: Integer[np.ndarray, "m"]) -> float:
    """Return the standard deviation of the distance between peak and part within a class.

    ``mean over classes c and parts p of std_{i of class c} distances[i, p]``, over the parts that
    are visible in at least two images of the class. Zhang et al. compute the deviation over the
    images of a category for every filter of a layer, with the peak of the filter's map; here the
    heatmap of the image takes the place of the filter's map.

    Args:
        distances: See ``part_distances``; NaN does not count.
        labels: Classes of the samples.

    Returns:
        The instability, at least 0; lower is more stable. NaN where no distance counts.
    """
    return float(_instabilities(distances, labels, np.arange(len(distances))[None])[0])


def location_instability_interval(
    distances: Distances,
    labels: Integer[np.ndarray, "m"],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate ``location_instability`` with its spread over bootstrap resamples.

    A resample that contains an image twice has a smaller deviation, so both ends are biased
    downwards for few images per class: the simulated coverage with 5 to 30 images is 0.00 to 0.50.

    Args:
        distances: See ``part_distances``; NaN does not count.
        labels: Classes of the samples.
        confidence: Nominal probability, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same spread.

    Returns:
        The estimate, a spread; value NaN where no distance counts.
    """
    found = bootstrap_interval(
        lambda rows: _instabilities(distances, labels, rows),
        len(distances),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return replace(found, kind="spread")


def _instabilities(
    distances: Distances, labels: Integer[np.ndarray, "m"], rows: Integer[np.ndarray, "r n"]
) -> Float64[np.ndarray, "r"]:
    """Return the instability of each resample."""
    classes, group = np.unique(labels, return_inverse=True)
    total, count = np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    cells = group[rows] + len(classes) * np.arange(len(rows))[:, None]
    for distance in distances.T:
        known = ~np.isnan(distance[rows])
        deviation = _deviations(
            distance[rows][known], cells[known], len(rows) * len(classes)
        ).reshape(len(rows), -1)
        total += np.nansum(deviation, axis=1)
        count += (~np.isnan(deviation)).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _deviations(
    values: Float64[np.ndarray, "v"], cells: Integer[np.ndarray, "v"], count: int
) -> Float64[np.ndarray, "cells"]:
    """Return the standard deviation of each cell; NaN for cells of fewer than two values."""
    held = np.bincount(cells, minlength=count)
    mean = np.bincount(cells, weights=values, minlength=count) / np.maximum(held, 1)
    square = (values - mean[cells]) ** 2
    variance = np.bincount(cells, weights=square, minlength=count) / np.maximum(held, 1)
    return np.where(held > 1, np.sqrt(variance), np.nan)
