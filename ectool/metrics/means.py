"""Intervals of many means over the same samples at the cost of drawing once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64, Int

from ectool.metrics.proportions import paired_shares_interval, wilson_interval
from ectool.metrics.statistics import Estimate, Sample, resample

NORMAL = NormalDist()


def estimate_means(
    columns: Mapping[str, Sample],
    *,
    differences: Collection[str] = (),
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Estimate the mean of every column with the interval that suits what it holds.

    The mean of zeros and ones is a share and gets Wilson's interval; the difference of two shares
    that of Bonett and Price; anything else the bias-corrected and accelerated bootstrap. Columns
    that are undefined (NaN) for the same samples share the draws: a resample counts how often it
    holds each sample, and ``counts @ columns / n`` are its means.

    Args:
        columns: One value per sample for each name, all of one length; NaN where undefined.
        differences: Names of the columns that hold the difference of two zeros or ones.
        confidence: Probability the intervals cover, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling.

    Returns:
        Estimates by name, in the order of the columns; value NaN without samples, bounds NaN with
        fewer than two.
    """
    values = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    found: dict[str, Estimate] = {}
    alike: dict[bytes, list[str]] = {}
    for name, column in values.items():
        known = column[~np.isnan(column)]
        if len(known) < 2:
            found[name] = _without_interval(known)
        elif name in differences:
            found[name] = paired_shares_interval(known, confidence=confidence)
        elif np.isin(known, (0, 1)).all():
            found[name] = wilson_interval(int(known.sum()), len(known), confidence=confidence)
        else:
            alike.setdefault(np.isnan(column).tobytes(), []).append(name)
    for names in alike.values():
        known = ~np.isnan(values[names[0]])
        together = np.stack([values[name][known] for name in names], axis=1)
        estimates = _bootstrapped(together, confidence, resamples, seed)
        found |= dict(zip(names, estimates, strict=True))
    return {name: found[name] for name in columns}


def _without_interval(values: Float64[np.ndarray, "n"]) -> Estimate:
    nan = float("nan")
    return Estimate(float(values.mean()) if len(values) else nan, nan, nan, len(values))


def _bootstrapped(
    values: Float64[np.ndarray, "n k"], confidence: float, resamples: int, seed: int
) -> list[Estimate]:
    n = len(values)

    def resampled(rows: Int[np.ndarray, "r n"]) -> Float64[np.ndarray, "r k"]:
        flat = (rows + n * np.arange(len(rows))[:, None]).ravel()
        counts = np.bincount(flat, minlength=n * len(rows)).reshape(len(rows), n)
        means: Float64[np.ndarray, "r k"] = counts.astype(np.float64) @ values / n
        return means

    drawn = resample(resampled, n, resamples=resamples, seed=seed)
    means = values.mean(axis=0)
    bounds = [
        accelerated_interval(column, float(mean), own, confidence)
        for column, mean, own in zip(drawn.T, means, (values - means).T, strict=True)
    ]
    return [
        Estimate(float(mean), low, high, n) for mean, (low, high) in zip(means, bounds, strict=True)
    ]


def accelerated_interval(
    resampled: Float64[np.ndarray, "r"],
    value: float,
    influences: Float64[np.ndarray, "n"],
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated (BCa) interval of a resampled statistic.

    With ``z0`` the normal quantile of the share of resamples below the value (half of those equal
    to it count), ``a = sum(influences^3) / (6 * sum(influences^2)^1.5)`` and z the normal quantile
    of ``(1 -+ confidence) / 2``, the ends are the quantiles
    ``Phi(z0 + (z0 + z) / (1 - a (z0 + z)))`` (Efron 1987, doi 10.1080/01621459.1987.10478410).
    Skewed columns, such as losses, are covered better than by plain quantiles.

    Args:
        resampled: The statistic of every resample.
        value: The statistic of the data.
        influences: How much each sample moves it; of a mean its distance from the mean.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        Lower and upper end; both the value where all samples are equal.
    """
    square = float((influences**2).sum())
    if square == 0:
        return value, value
    below = ((resampled < value).mean() + (resampled <= value).mean()) / 2
    edge = 1 / (2 * len(resampled))
    z0 = NORMAL.inv_cdf(float(np.clip(below, edge, 1 - edge)))
    a = float((influences**3).sum()) / (6 * square**1.5)
    shifted = [z0 + NORMAL.inv_cdf((1 + side * confidence) / 2) for side in (-1, 1)]
    low, high = np.quantile(resampled, [NORMAL.cdf(z0 + z / (1 - a * z)) for z in shifted])
    return float(low), float(high)
