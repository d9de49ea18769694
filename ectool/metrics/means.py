"""Intervals of many means over the same samples at the cost of drawing once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, Int

from ectool.metrics.statistics import Estimate, Sample, percentile_interval, resample


def bootstrap_means(
    columns: Mapping[str, Sample],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Estimate the mean of every column with its percentile bootstrap interval.

    What :func:`~ectool.metrics.statistics.bootstrap_interval` gives for each column alone, up to
    the order of summation. Columns that are undefined (NaN) for the same samples share the draws:
    a resample counts how often it holds each sample, and ``counts @ columns / n`` are its means.

    Args:
        columns: One value per sample for each name, all of one length; NaN where undefined.
        confidence: Probability the intervals cover, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.

    Returns:
        Estimates by name, in the order of the columns.
    """
    values = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    alike: dict[bytes, list[str]] = {}
    for name, column in values.items():
        alike.setdefault(np.isnan(column).tobytes(), []).append(name)
    found: dict[str, Estimate] = {}
    for names in alike.values():
        known = ~np.isnan(values[names[0]])
        together = np.stack([values[name][known] for name in names], axis=1)
        estimates = _estimates(together, confidence, resamples, seed)
        found |= dict(zip(names, estimates, strict=True))
    return {name: found[name] for name in columns}


def _estimates(
    values: Float64[np.ndarray, "n k"], confidence: float, resamples: int, seed: int
) -> list[Estimate]:
    n, undefined = len(values), float("nan")
    if n == 0:
        return [Estimate(undefined, undefined, undefined, 0)] * values.shape[1]
    means = values.mean(axis=0)
    if n == 1:
        return [Estimate(float(mean), undefined, undefined, n) for mean in means]

    def resampled(rows: Int[np.ndarray, "r n"]) -> Float64[np.ndarray, "r k"]:
        flat = (rows + n * np.arange(len(rows))[:, None]).ravel()
        counts = np.bincount(flat, minlength=n * len(rows)).reshape(len(rows), n)
        means: Float64[np.ndarray, "r k"] = counts.astype(np.float64) @ values / n
        return means

    drawn = resample(resampled, n, resamples=resamples, seed=seed)
    intervals = [percentile_interval(column, confidence) for column in drawn.T]
    return [
        Estimate(float(mean), low, high, n)
        for mean, (low, high) in zip(means, intervals, strict=True)
    ]
