"""Estimates with intervals: bootstrap over samples, and Student's t over seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Integer

from ectool.errors import InputError
from ectool.types import Estimate, IntervalKind

Sample = Bool[np.ndarray, "_"] | Integer[np.ndarray, "_"] | Float[np.ndarray, "_"]
Statistic = Callable[[Int[np.ndarray, "r n"]], Float64[np.ndarray, "r"]]

_VALUES_AT_ONCE = 2**21


def without_interval(value: float, n: int, kind: IntervalKind = "interval") -> Estimate:
    """Return an estimate whose ends are NaN, for data that are too few for an interval.

    Args:
        value: The statistic of the data; NaN where it is undefined.
        n: Number of samples or seeds.
        kind: Kind of the interval that more data would have.

    Returns:
        The estimate.
    """
    return Estimate(value, float("nan"), float("nan"), n, kind)


def t_quantile(degrees: int, confidence: float) -> float:
    """Return the quantile ``(1 + confidence) / 2`` of Student's t distribution.

    Args:
        degrees: Degrees of freedom, at least 1.
        confidence: Probability of a two-sided interval, 0 to 1.

    Returns:
        12.7 for one degree of freedom and a confidence of 0.95.
    """
    from scipy.special import stdtrit  # here, as importing it takes 0.3 s

    return float(stdtrit(degrees, (1 + confidence) / 2))


def bootstrap_interval(
    statistic: Statistic,
    n: int,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic over samples with its percentile bootstrap interval.

    ``low, high = quantiles (1 -+ confidence) / 2 of statistic(resampled indices)`` (Efron and
    Tibshirani 1993, ch. 13). Resamples of which the statistic is undefined (NaN) are left out.

    Args:
        statistic: Maps r resamples, each the indices of the n samples it holds, to r values;
            called with a bounded number of resamples at a time.
        n: Number of samples.
        confidence: Nominal probability of the interval, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate; value NaN without samples or where the statistic of the data is undefined,
        bounds NaN then and with fewer than two samples.
    """
    if n == 0:
        return without_interval(float("nan"), 0)
    value = float(statistic(np.arange(n)[None])[0])
    if n == 1 or np.isnan(value):
        return without_interval(value, n)
    drawn = resample(statistic, n, resamples=resamples, seed=seed)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(low), float(high), n)


def resample(
    statistic: Statistic, n: int, *, resamples: int = 2000, seed: int = 0
) -> Float64[np.ndarray, "r"]:
    """Return a statistic of bootstrap resamples of n samples.

    Args:
        statistic: See ``bootstrap_interval``.
        n: Number of samples, at least 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed draws the same resamples.

    Returns:
        One value per resample.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _VALUES_AT_ONCE // n)
    return np.concatenate(
        [
            statistic(generator.integers(n, size=(min(step, resamples - start), n)))
            for start in range(0, resamples, step)
        ]
    )


def mean_interval(values: Sample, *, confidence: float = 0.95) -> Estimate:
    """Estimate the mean over seeds with its two-sided t interval.

    ``mean -+ t[(1 + confidence) / 2, n - 1] * standard deviation / sqrt(n)``. A NaN makes the
    whole estimate NaN, so that a failed run does not drop out of the mean unnoticed.

    Args:
        values: One value per seed.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        The estimate; value NaN without seeds, bounds NaN with fewer than two.
    """
    runs = np.asarray(values, np.float64)
    n = len(runs)
    value = float(runs.mean()) if n else float("nan")
    if n < 2:
        return without_interval(value, n)
    half = float(t_quantile(n - 1, confidence) * runs.std(ddof=1) / np.sqrt(n))
    return Estimate(value, value - half, value + half, n)


def within(estimate: Estimate, low: float, high: float) -> Estimate:
    """Return an estimate whose interval is cut to the range of its values, with equal coverage.

    Args:
        estimate: Such as a t interval, which knows no range.
        low: Minimum of the values.
        high: Maximum of the values.
    """
    return replace(estimate, low=max(estimate.low, low), high=min(estimate.high, high))


def paired_difference(first: Sample, second: Sample, *, confidence: float = 0.95) -> Estimate:
    """Estimate the mean of ``first - second`` over seeds with its two-sided t interval.

    The interval excludes 0 where the two-sided paired t test rejects at ``1 - confidence``.

    Args:
        first: One value per seed.
        second: Values of the same seeds, in the same order.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        The estimate of the difference, as ``mean_interval`` gives it.

    Raises:
        InputError: The sides differ in length.
    """
    a, b = paired(first, second)
    return mean_interval(a - b, confidence=confidence)


def t_test_p_value(estimate: Estimate, count: int, confidence: float = 0.95) -> float:
    """Return the p-value of the two-sided t test that a mean is 0, from its t interval.

    ``2 P(T > |value| / error)`` with T of ``count - 1`` degrees of freedom and
    ``error = (high - low) / 2 / t[(1 + confidence) / 2, count - 1]``.

    Args:
        estimate: The mean and its t interval, as ``mean_interval`` gives it.
        count: Number of seeds, or of other units that the mean is taken over.
        confidence: Probability that the interval covers, 0 to 1.

    Returns:
        The p-value, 0 to 1; NaN without an interval. Equal values have no spread: their p-value is
        that of the sign test, ``2^(1 - count)``, or 1 where they are 0.
    """
    from scipy.special import stdtr  # here, as importing it takes 0.3 s

    half = (estimate.high - estimate.low) / 2
    if not np.isfinite(half):
        return float("nan")
    if half <= 1e-12 * abs(estimate.value):
        return 1.0 if estimate.value == 0 else 2.0 ** (1 - count)
    error = half / t_quantile(count - 1, confidence)
    return float(2 * stdtr(count - 1, -abs(estimate.value) / error))


def paired(first: Sample, second: Sample) -> Float64[np.ndarray, "2 n"]:
    """Stack the values of both sides of a comparison.

    Args:
        first: One value per sample or seed.
        second: Values of the same samples or seeds, in the same order.

    Returns:
        The two sides as rows.

    Raises:
        InputError: The sides differ in length.
    """
    if len(first) != len(second):
        raise InputError(
            "paired values",
            expected=f"{len(first)} on both sides, one per sample or seed",
            got=f"{len(second)} on the second",
            fix="join both sides on their ids first",
        )
    return np.stack([np.asarray(first, np.float64), np.asarray(second, np.float64)])


def mean_of_defined(values: Float64[np.ndarray, "n k"]) -> Float64[np.ndarray, "n"]:
    """Average the defined values of each row.

    Args:
        values: Values; NaN where undefined.

    Returns:
        Means; NaN for a row without a defined value.
    """
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0).sum(axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_per_sample(
    values: Float[np.ndarray, "p"], samples: Integer[np.ndarray, "p"], count: int
) -> Float64[np.ndarray, "n"]:
    """Average the defined values of each sample's labels, for metrics that are measured per label.

    Args:
        values: One value for each pair of a sample and one of its labels; NaN where undefined.
        samples: Which sample each pair belongs to, 0 to count - 1, in any order.
        count: Number of samples.

    Returns:
        Means; NaN for a sample without a defined value.
    """
    known = ~np.isnan(values)
    total = np.bincount(samples[known], weights=values[known], minlength=count)
    pairs = np.bincount(samples[known], minlength=count)
    return np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan)
