"""Rank correlation and partial rank correlation, for many resamples at once.

A sample counts as often as a resample contains it, so values are sorted once for all resamples.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Integer

Counts = Integer[np.ndarray, "r n"]
Values = Float[np.ndarray, "n"]
Ranks = Float64[np.ndarray, "r n"]
Correlations = Float64[np.ndarray, "r"]


def once(n: int) -> Counts:
    """Return the counts of the data themselves: one resample that holds every sample once."""
    return np.ones((1, n), np.int64)


def cluster_counts(
    clusters: Integer[np.ndarray, "n"], resamples: int, generator: np.random.Generator
) -> Counts:
    """Draw whole clusters with replacement, for samples that depend on each other within clusters.

    Args:
        clusters: Cluster of each sample; any integers.
        resamples: Number of resamples.
        generator: Source of the random numbers.

    Returns:
        How often each resample contains each sample; equal within a cluster.
    """
    _, number = np.unique(clusters, return_inverse=True)
    count = int(number.max()) + 1
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.asarray(drawn[:, number], np.int64)


def midranks(values: Values, counts: Counts) -> Ranks:
    """Return the rank of each sample within each resample, from 1; equal values share their mean.

    ``rank = (samples with a smaller value) + (samples with this value + 1) / 2``, where a sample
    that a resample holds k times counts k times.

    Args:
        values: One finite value per sample.
        counts: How often each resample contains each sample.

    Returns:
        Ranks; also of samples that a resample does not hold, where they are not used.
    """
    order = np.argsort(values, kind="stable")
    rises = np.diff(values[order], prepend=values[order][:1]) > 0
    group = np.cumsum(rises)
    ends = np.flatnonzero(np.append(rises[1:], True))
    upto = counts[:, order].cumsum(axis=1)[:, ends]
    within = np.diff(upto, axis=1, prepend=0)
    ranks = np.empty(counts.shape, np.float64)
    ranks[:, order] = (upto - within + (within + 1) / 2)[:, group]
    return ranks


def correlation(a: Ranks, b: Ranks, counts: Counts) -> Correlations:
    """Return Pearson's correlation of two rows of ranks in each resample: Spearman's of the values.

    Args:
        a: Ranks of the first values, as `midranks` gives them.
        b: Ranks of the second values.
        counts: How often each resample contains each sample.

    Returns:
        Correlations in [-1, 1]; NaN where all values of a side are equal.
    """
    a, b = _centered(a, counts), _centered(b, counts)
    spread = np.sqrt(_dot(a, a, counts) * _dot(b, b, counts))
    is_defined = spread > 1e-9
    found = np.divide(_dot(a, b, counts), spread, out=np.full(len(a), np.nan), where=is_defined)
    return np.asarray(np.clip(found, -1.0, 1.0))


def partial_correlation(a: Ranks, b: Ranks, given: Ranks, counts: Counts) -> Correlations:
    """Return the correlation of two rows of ranks that a third one does not explain.

    ``(ab - ag * bg) / sqrt((1 - ag^2) (1 - bg^2))`` with ab, ag and bg the three correlations: the
    correlation of the residuals of both after a linear regression on the third (partial Spearman).

    Args:
        a: Ranks of the first values, as `midranks` gives them.
        b: Ranks of the second values.
        given: Ranks of the values whose part is removed.
        counts: How often each resample contains each sample.

    Returns:
        Correlations in [-1, 1]; NaN where a side is constant or equals the third one.
    """
    ab, ag, bg = (correlation(*pair, counts) for pair in ((a, b), (a, given), (b, given)))
    left = (1 - ag**2) * (1 - bg**2)
    is_defined = left > 1e-12
    rest = np.sqrt(left, out=np.ones_like(left), where=is_defined)
    return np.where(is_defined, np.clip((ab - ag * bg) / rest, -1.0, 1.0), np.nan)


def spearman(a: Values, b: Values) -> float:
    """Return Spearman's rank correlation of two columns; NaN where one of them is constant."""
    all_once = once(len(a))
    return float(correlation(midranks(a, all_once), midranks(b, all_once), all_once)[0])


def _centered(ranks: Ranks, counts: Counts) -> Ranks:
    total = counts.sum(axis=1, keepdims=True)
    centered: Ranks = ranks - (ranks * counts).sum(axis=1, keepdims=True) / total
    return centered


def _dot(a: Ranks, b: Ranks, counts: Counts) -> Correlations:
    product: Correlations = np.einsum("rn,rn,rn->r", a, b, counts.astype(np.float64))
    return product
