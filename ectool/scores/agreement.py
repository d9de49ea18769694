"""Agreement of two heatmaps of the same image, of two networks or methods, on any scales."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from ectool.scores.blocks import blockwise
from ectool.scores.multilabel import average_over_labels, label_similarity
from ectool.scores.similarity import Maps, Similarity, is_constant, ssim, top_iou

Rows = Float64[np.ndarray, "n pixels"]


def rank_correlation(first: Maps, second: Maps) -> Float64[np.ndarray, "n"]:
    """Return Spearman's rank correlation of two heatmaps over their pixels.

    The Pearson correlation of the pixels' ranks; equal pixels share the mean of their ranks. An
    increasing function of the pixels changes nothing, so maps of different methods and networks
    can be compared.

    Args:
        first: Heatmaps on any scale.
        second: Heatmaps of the same images, in the same order.

    Returns:
        Correlation in [-1, 1]; 0 where exactly one map is constant, NaN where both are constant or
        a value is not finite.
    """
    a, b = _centred_ranks(first), _centred_ranks(second)
    squares = (a * a).sum(axis=1), (b * b).sum(axis=1)
    norm = np.sqrt(squares[0] * squares[1])
    correlation = np.divide((a * b).sum(axis=1), norm, out=np.zeros_like(norm), where=norm != 0)
    undefined = (squares[0] == 0) & (squares[1] == 0)
    finite = np.isfinite(first).all(axis=(1, 2)) & np.isfinite(second).all(axis=(1, 2))
    # Rounding can exceed 1.
    return np.where(undefined | ~finite, np.nan, correlation.clip(-1, 1))


def scaled_ssim(first: Maps, second: Maps) -> Float32[np.ndarray, "n"]:
    """Return the structural similarity of heatmaps, each divided by its own maximum.

    Heatmaps of different networks and methods are on different scales.

    Args:
        first: Heatmaps on any scale.
        second: Heatmaps of the same images, in the same order.

    Returns:
        See ``similarity.ssim``.
    """
    return ssim(_scaled(first), _scaled(second))


AGREEMENTS: Mapping[str, Similarity] = {
    "rank_correlation": rank_correlation,
    "ssim": scaled_ssim,
    "top_iou": top_iou,
}


def heatmap_agreement(
    measure: Similarity,
    first: Float[np.ndarray, "n *k h w"],
    second: Float[np.ndarray, "n *k h w"],
    targets: Int64[np.ndarray, "n *k"],
) -> Float32[np.ndarray, "n"]:
    """Return the agreement of two heatmaps of each sample, in bounded memory.

    Args:
        measure: One of ``AGREEMENTS``.
        first: Heatmaps, one for each target.
        second: Heatmaps of the same targets.
        targets: The explained classes; -1 fills the rows of multi-label samples.

    Returns:
        Agreement, of multi-label samples the mean over their targets; NaN where the first map is
        constant, as it has no evidence that the second one could agree with.
    """

    def defined(a: Maps, b: Maps) -> Float[np.ndarray, "n"]:
        return np.where(is_constant(a), np.nan, measure(a, b))

    if targets.ndim == 1:
        return blockwise(defined, first, second)
    return average_over_labels(label_similarity(defined, first, second, targets))


def _scaled(maps: Maps) -> Maps:
    peaks = maps.max(axis=(1, 2), keepdims=True)
    return maps / np.where(peaks > 0, peaks, 1)


def _centred_ranks(maps: Maps) -> Rows:
    """Return the mean rank of each pixel among the equal ones of its map, less the mean rank."""
    rows = maps.reshape(len(maps), math.prod(maps.shape[1:]))
    order = rows.argsort(axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    starts = np.ones(rows.shape, np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # Runs of equal pixels are numbered through all maps; the first pixel of each map starts one.
    first = np.flatnonzero(starts)
    mean = (first + np.append(first[1:], rows.size) - 1) / 2
    run = starts.ravel().cumsum() - 1
    before = np.arange(len(rows))[:, None] * rows.shape[1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, mean[run].reshape(rows.shape) - before, axis=1)
    return ranks - (rows.shape[1] - 1) / 2
