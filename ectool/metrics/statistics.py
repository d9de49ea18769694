"""How sure a number is: intervals over samples (bootstrap) and over seeds (Student's t)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Integer

from ectool.errors import InputError

Sample = Bool[np.ndarray, "_"] | Integer[np.ndarray, "_"] | Float[np.ndarray, "_"]
Statistic = Callable[[Float64[np.ndarray, "r n"], int], Float64[np.ndarray, "r"]]
RowStatistic = Callable[[Int[np.ndarray, "r n"]], Float64[np.ndarray, "r"]]

Kind = Literal["interval", "spread"]

_VALUES_AT_ONCE = 2**21


@dataclass(frozen=True)
class Estimate:
    """A number and the interval it lies in.

    Attributes:
        value: The statistic of the data.
        low: Lower end of the two-sided interval; NaN where the data are too few for one.
        high: Upper end of the interval; NaN likewise.
        n: Number of samples (bootstrap) or seeds (t interval) the value rests on.
        kind: ``interval`` where simulations show that it covers the population's value as often as
            it says; ``spread`` where it only shows how much resampling moves the value.
    """

    value: float
    low: float
    high: float
    n: int
    kind: Kind = "interval"

    @property
    def excludes_zero(self) -> bool:
        """Tell whether the whole interval lies on one side of zero; False without an interval."""
        return self.low > 0 or self.high < 0


def bootstrap_interval(
    values: Sample,
    statistic: Statistic = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic over samples with its percentile bootstrap interval.

    ``low, high = quantiles (1 -+ confidence) / 2 of statistic(values[resampled indices])``
    (Efron and Tibshirani 1993, ch. 13). Where all values are equal the interval has no width:
    the bootstrap knows nothing of values that were not seen.

    Args:
        values: One value per sample. NaN marks a sample where the metric is undefined; it is
            left out and does not count in ``n``.
        statistic: Reduces an axis; called as ``statistic(values, axis)``.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate; value NaN without samples, bounds NaN with fewer than two.
    """
    known = _drop_undefined(np.asarray(values, np.float64)[None])[0]
    return bootstrap_rows(
        lambda rows: statistic(known[rows], -1),
        len(known),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def bootstrap_difference(
    first: Sample,
    second: Sample,
    statistic: Statistic = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate ``statistic(first) - statistic(second)`` over samples both were measured on.

    Both sides are resampled with the same indices (paired bootstrap), so what a sample
    contributes to both cancels.

    Args:
        first: One value per sample. A sample that is NaN on either side is left out of both.
        second: Values of the same samples, in the same order.
        statistic: Reduces an axis; called as ``statistic(values, axis)``.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate of the difference, as ``bootstrap_interval`` gives it.

    Raises:
        InputError: The sides differ in length.
    """
    a, b = _drop_undefined(paired(first, second))
    return bootstrap_rows(
        lambda rows: statistic(a[rows], -1) - statistic(b[rows], -1),
        len(a),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def bootstrap_rows(
    statistic: RowStatistic,
    n: int,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate a statistic that needs whole samples with its percentile bootstrap interval.

    For statistics that are no function of one value per sample, such as mean average precision.
    Resamples of which the statistic is undefined (NaN) are left out.

    Args:
        statistic: Maps r resamples, each the indices of the n samples it holds, to r numbers;
            called with a bounded number of resamples at a time.
        n: Number of samples.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate; value NaN without samples or where the statistic of the data is undefined,
        bounds NaN then and with fewer than two samples.
    """
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    value = float(statistic(np.arange(n)[None])[0])
    if n == 1 or np.isnan(value):
        return Estimate(value, float("nan"), float("nan"), n)
    drawn = resample(statistic, n, resamples=resamples, seed=seed)
    low, high = percentile_interval(drawn, confidence)
    return Estimate(value, low, high, n)


def resample(
    statistic: Callable[[Int[np.ndarray, "r n"]], Float64[np.ndarray, "r *k"]],
    n: int,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Float64[np.ndarray, "r *k"]:
    """Return a statistic of bootstrap resamples of n samples.

    Args:
        statistic: As ``bootstrap_rows`` calls it; it may return several numbers for each.
        n: Number of samples, at least 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed draws the same resamples.

    Returns:
        One number per resample, or as many as the statistic has.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _VALUES_AT_ONCE // n)
    return np.concatenate(
        [
            statistic(generator.integers(n, size=(min(step, resamples - start), n)))
            for start in range(0, resamples, step)
        ]
    )


def percentile_interval(
    resampled: Float64[np.ndarray, "r"], confidence: float = 0.95
) -> tuple[float, float]:
    """Return the two-sided percentile interval of a resampled statistic.

    Args:
        resampled: The statistic of every resample; NaN where it is undefined.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        Quantiles ``(1 -+ confidence) / 2`` of the defined values.
    """
    low, high = np.nanquantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def mean_interval(values: Sample, *, confidence: float = 0.95) -> Estimate:
    """Estimate the mean over seeds with its two-sided t interval.

    ``mean -+ t[(1 + confidence) / 2, n - 1] * standard deviation / sqrt(n)``. A NaN makes the
    whole estimate NaN: a run that failed must not drop out of the mean unseen.

    Args:
        values: One value per seed.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        The estimate; value NaN without seeds, bounds NaN with fewer than two.
    """
    from scipy.special import stdtrit  # here, as importing it takes 0.3 s

    runs = np.asarray(values, np.float64)
    n = len(runs)
    value = float(runs.mean()) if n else float("nan")
    if n < 2:
        return Estimate(value, float("nan"), float("nan"), n)
    half = float(stdtrit(n - 1, (1 + confidence) / 2) * runs.std(ddof=1) / np.sqrt(n))
    return Estimate(value, value - half, value + half, n)


def paired_difference(first: Sample, second: Sample, *, confidence: float = 0.95) -> Estimate:
    """Estimate the mean of ``first - second`` over seeds with its two-sided t interval.

    ``excludes_zero`` of the result is the two-sided paired t test at ``1 - confidence``.

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
        count: Number of seeds, or whatever the mean was taken over.
        confidence: Probability that the interval covers, 0 to 1.

    Returns:
        The p-value, 0 to 1; NaN without an interval. Of equal values, which have no spread, it is
        that of the signs, ``2^(1 - count)``, and 1 where they are 0.
    """
    from scipy.special import stdtr, stdtrit  # here, as importing it takes 0.3 s

    half = (estimate.high - estimate.low) / 2
    if not np.isfinite(half):
        return float("nan")
    if half <= 1e-12 * abs(estimate.value):
        return 1.0 if estimate.value == 0 else 2.0 ** (1 - count)
    error = half / stdtrit(count - 1, (1 + confidence) / 2)
    return float(2 * stdtr(count - 1, -abs(estimate.value) / error))


def paired(first: Sample, second: Sample) -> Float64[np.ndarray, "2 n"]:
    """Put the values of both sides of a comparison beside each other.

    Args:
        first: One value per sample or seed.
        second: Values of the same samples or seeds, in the same order.

    Returns:
        Both as rows.

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


def mean_per_sample(
    values: Float[np.ndarray, "p"], samples: Integer[np.ndarray, "p"], count: int
) -> Float64[np.ndarray, "n"]:
    """Average the defined values of each sample's pairs, for metrics measured label by label.

    Args:
        values: A value for each pair of a sample and one of its labels; NaN where it is undefined.
        samples: Which sample each pair belongs to, 0 to count - 1, in any order.
        count: Number of samples.

    Returns:
        Means; NaN for a sample without a defined value.
    """
    known = ~np.isnan(values)
    total = np.bincount(samples[known], weights=values[known], minlength=count)
    pairs = np.bincount(samples[known], minlength=count)
    return np.where(pairs > 0, total / np.maximum(pairs, 1), np.nan)


def _drop_undefined(columns: Float64[np.ndarray, "k n"]) -> Float64[np.ndarray, "k m"]:
    return columns[:, ~np.isnan(columns).any(axis=0)]
