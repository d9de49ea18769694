"""Similarity of a sample's clean and adversarial heatmap, from 0 to 1.

All similarities have the same rule for maps without evidence. A pair of all-zero maps (for Pearson:
constant maps) is undefined, NaN, and is counted. A pair of which exactly one map is all-zero has
similarity 0. A non-finite value in either map gives NaN. Maps may be float16: everything is
computed in float64, over blocks of samples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy.lib.stride_tricks import sliding_window_view

from ectool.options import rounded_up
from ectool.scores.blocks import blockwise

Maps = Float[np.ndarray, "n h w"]
Scores = Float32[np.ndarray, "n"]
Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]

SSIM_WINDOW = 7
SSIM_K1, SSIM_K2 = 0.01, 0.03
ROUNDING = 1e-5
"""Spread of a heatmap, relative to its largest magnitude, that may be due to rounding alone."""


def cosine(clean: Maps, adversarial: Maps) -> Scores:
    """Return the cosine between two heatmaps as vectors.

    ``<clean, adversarial> / (|clean| * |adversarial|)``, clipped to [0, 1]; only signed maps have
    negative cosines.

    Args:
        clean: Heatmaps of the clean samples.
        adversarial: Heatmaps of the perturbed samples, in the same order.

    Returns:
        1 for maps that differ at most by a positive factor; NaN where both are all-zero.
    """
    return blockwise(lambda a, b: _cosine_of_rows(_rows(a), _rows(b)), clean, adversarial)


def pearson(clean: Maps, adversarial: Maps) -> Scores:
    """Return the Pearson correlation of two heatmaps over their pixels, negatives clipped to 0.

    The cosine of the maps after the mean of each is subtracted. Opposite maps have similarity 0,
    like independent ones.

    Args:
        clean: Heatmaps of the clean samples.
        adversarial: Heatmaps of the perturbed samples, in the same order.

    Returns:
        Correlation in [0, 1]; NaN where both are constant, 0 where exactly one is.
    """
    return blockwise(
        lambda a, b: _cosine_of_rows(_centered(_rows(a)), _centered(_rows(b))), clean, adversarial
    )


def ssim(clean: Maps, adversarial: Maps) -> Scores:
    """Return the structural similarity (Wang et al. 2004) of two heatmaps, negatives clipped to 0.

    The mean over windows of ``(2 m_a m_b + c1) (2 s_ab + c2) / ((m_a² + m_b² + c1) (s_a² + s_b² +
    c2))`` with window means m, variances and covariance s (divided by the number of pixels),
    ``c1 = (0.01 L)²`` and ``c2 = (0.03 L)²``. Deviations: uniform windows of side 7, or of the
    map's shorter side if that is less, entirely inside the map (a Gaussian of side 11 does not fit
    a 7 × 7 map); L is the max absolute value of the pair, as raw maps have no fixed range.

    Args:
        clean: Heatmaps of the clean samples.
        adversarial: Heatmaps of the perturbed samples, in the same order.

    Returns:
        Similarity in [0, 1]; NaN where both maps are all-zero, 0 where exactly one is.
    """
    return blockwise(_ssim_of_block, clean, adversarial)


def top_iou(clean: Maps, adversarial: Maps, q: float = 0.2) -> Scores:
    """Return the intersection over union of the strongest pixels of two heatmaps.

    A map's strongest pixels are the positive ones at or above its ``ceil(q * h * w)``-th largest
    value, including ties.

    Args:
        clean: Heatmaps of the clean samples.
        adversarial: Heatmaps of the perturbed samples, in the same order.
        q: Share of the pixels, in (0, 1].

    Returns:
        Overlap in [0, 1]; NaN where neither map has a positive pixel.
    """
    return blockwise(lambda a, b: _iou_of_rows(_rows(a), _rows(b), q), clean, adversarial)


def is_constant(maps: Float[np.ndarray, "*n h w"]) -> Bool[np.ndarray, "*n"]:
    """Return which heatmaps are constant up to rounding, such as those of a single position.

    Args:
        maps: Finite heatmaps, of one size or of one shape for each sample.

    Returns:
        True for constant heatmaps, also for those that are zero everywhere.
    """
    return is_flat(maps.min(axis=(-2, -1)), maps.max(axis=(-2, -1)))


def is_flat(low: Float[np.ndarray, "*n"], high: Float[np.ndarray, "*n"]) -> Bool[np.ndarray, "*n"]:
    """Return which heatmaps are constant, given the minimum and the maximum of each.

    ``high - low <= r * max(|low|, |high|)``, with r the rounding of the numbers' type.
    """
    rounding = max(ROUNDING, float(np.finfo(low.dtype).eps))
    low, high = low.astype(np.float64), high.astype(np.float64)
    return np.asarray(high - low <= rounding * np.maximum(np.abs(low), np.abs(high)))


SIMILARITIES: dict[str, Similarity] = {
    "cosine": cosine,
    "pearson": pearson,
    "ssim": ssim,
    "top-iou": top_iou,
}


def _rows(maps: np.ndarray) -> np.ndarray:
    """Flatten maps to rows in units of their largest magnitude, so that no square overflows."""
    rows = maps.reshape(len(maps), -1).astype(np.float64)
    rows[~np.isfinite(rows).all(axis=1)] = np.nan
    peak = np.abs(rows).max(axis=1, keepdims=True)
    rows /= np.where(peak > 0, peak, 1.0)
    return rows


def _centered(rows: np.ndarray) -> np.ndarray:
    # A constant map is a row of ones here. Their mean is exact, so the result is exactly zero.
    centered: np.ndarray = rows - rows.mean(axis=1, keepdims=True)
    return centered


def _cosine_of_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    dot = np.einsum("ij,ij->i", a, b)
    square_a, square_b = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
    norm = np.sqrt(square_a * square_b)
    cosines = np.divide(dot, norm, out=np.zeros_like(dot), where=norm != 0)
    return _clipped(cosines, (square_a == 0) & (square_b == 0))


def _clipped(scores: np.ndarray, undefined: np.ndarray) -> np.ndarray:
    """Clip scores to [0, 1] and mark the undefined ones; NaN stays NaN."""
    return np.where(undefined, np.nan, np.clip(scores, 0.0, 1.0))


def _ssim_of_block(clean: np.ndarray, adversarial: np.ndarray) -> np.ndarray:
    a, b = clean.astype(np.float64), adversarial.astype(np.float64)
    peak_a, peak_b = np.abs(a).max(axis=(1, 2)), np.abs(b).max(axis=(1, 2))
    peak = np.maximum(peak_a, peak_b)
    usable = np.isfinite(peak) & (np.minimum(peak_a, peak_b) > 0)
    scores = np.zeros(len(a))
    scale = peak[usable, None, None]
    scores[usable] = _mean_ssim(a[usable] / scale, b[usable] / scale)
    return _clipped(scores, (peak == 0) | ~np.isfinite(peak))


def _mean_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the mean over windows of the similarity of maps whose common peak is 1."""
    mean_a, mean_b = _window_means(a), _window_means(b)
    covariance = _window_means(a * b) - mean_a * mean_b
    variances = _window_means(a * a) - mean_a**2 + _window_means(b * b) - mean_b**2
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    similarity: np.ndarray = (luminance * structure).mean(axis=(1, 2))
    return similarity


def _window_means(maps: np.ndarray) -> np.ndarray:
    """Return the means over all complete windows, along one axis and then along the other."""
    side = min(SSIM_WINDOW, *maps.shape[1:])
    strips = sliding_window_view(maps, side, axis=1).sum(axis=-1)
    means: np.ndarray = sliding_window_view(strips, side, axis=2).sum(axis=-1) / side**2
    return means


def _iou_of_rows(a: np.ndarray, b: np.ndarray, q: float) -> np.ndarray:
    in_a, in_b = _strongest(a, q), _strongest(b, q)
    union = (in_a | in_b).sum(axis=1)
    overlap = (in_a & in_b).sum(axis=1) / np.maximum(union, 1)
    return _clipped(overlap, (union == 0) | np.isnan(a[:, 0]) | np.isnan(b[:, 0]))


def _strongest(rows: np.ndarray, q: float) -> np.ndarray:
    pixels = rows.shape[1]
    first = pixels - max(1, rounded_up(q, pixels))
    threshold = np.partition(rows, first, axis=1)[:, first, None]
    strongest: np.ndarray = (rows >= threshold) & (rows > 0)
    return strongest
