"""Agreement of two explanations of the same image by the order of their pixels."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64

Heatmaps = Float[np.ndarray, "n h w"]
Rows = Float64[np.ndarray, "n pixels"]


def rank_correlation(first: Heatmaps, second: Heatmaps) -> Float64[np.ndarray, "n"]:
    """Return Spearman's rank correlation of two heatmaps over their pixels.

    The Pearson correlation of the pixels' ranks, equal pixels sharing the mean of theirs: blind
    to any rising change of scale, so that maps of different methods and networks compare.

    Args:
        first: Heatmaps on any scale.
        second: Heatmaps of the same images, in the same order.

    Returns:
        Correlation in [-1, 1]; 0 where exactly one map is constant, NaN where both are, and where
        one holds something else than numbers.
    """
    a, b = _centred_ranks(first), _centred_ranks(second)
    squares = (a * a).sum(axis=1), (b * b).sum(axis=1)
    norm = np.sqrt(squares[0] * squares[1])
    correlation = np.divide((a * b).sum(axis=1), norm, out=np.zeros_like(norm), where=norm != 0)
    undefined = (squares[0] == 0) & (squares[1] == 0)
    finite = np.isfinite(first).all(axis=(1, 2)) & np.isfinite(second).all(axis=(1, 2))
    # Rounding may lead a hair beyond 1.
    return np.where(undefined | ~finite, np.nan, correlation.clip(-1, 1))


def _centred_ranks(maps: Heatmaps) -> Rows:
    """Return each pixel's mean rank among the equals of its map, less the mean of all ranks."""
    rows = maps.reshape(len(maps), math.prod(maps.shape[1:]))
    order = rows.argsort(axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    starts = np.ones(rows.shape, np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # Runs of equals, counted through all maps: each map's first pixel starts one.
    first = np.flatnonzero(starts)
    mean = (first + np.append(first[1:], rows.size) - 1) / 2
    run = starts.ravel().cumsum() - 1
    before = np.arange(len(rows))[:, None] * rows.shape[1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, mean[run].reshape(rows.shape) - before, axis=1)
    return ranks - (rows.shape[1] - 1) / 2
