"""Is B better than A: paired tests over the same samples, and their correction for being many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from ectool.metrics.statistics import Estimate, Sample, paired, percentile_interval, resample


@dataclass(frozen=True)
class Discordance:
    """What two classifiers disagree on.

    Attributes:
        only_first: Number of samples that only the first one classifies correctly.
        only_second: Number of samples that only the second one does.
        p_value: Of the two-sided exact test that both are as frequent.
    """

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class PairedDifference:
    """How much a metric differs between two models.

    Attributes:
        estimate: Mean of second minus first, with its interval.
        p_value: Of the two-sided paired bootstrap test that it is 0; NaN with fewer than two
            samples.
    """

    estimate: Estimate
    p_value: float


def mcnemar(first: Bool[np.ndarray, "n"], second: Bool[np.ndarray, "m"]) -> Discordance:
    """Test whether two classifiers are right equally often on the same samples, exactly.

    ``p_value = min(1, 2 * P(X <= min(only_first, only_second)))`` with X binomial of
    ``only_first + only_second`` trials and probability 1/2 (McNemar 1947, doi 10.1007/BF02295996,
    in its exact form, not the chi-squared approximation).

    Args:
        first: Whether each sample is right by the first.
        second: Whether it is right by the second, in the same order.

    Returns:
        Both counts and the p-value, in (0, 1]; 1 where they never disagree.

    Raises:
        InputError: The sides differ in length.
    """
    from scipy.special import bdtr  # here, as importing it takes 0.3 s

    a, b = paired(first, second)
    only_first, only_second = int((a > b).sum()), int((b > a).sum())
    trials, rarer = only_first + only_second, min(only_first, only_second)
    p_value = min(1.0, 2 * float(bdtr(rarer, trials, 0.5)))
    return Discordance(only_first, only_second, p_value)


def paired_bootstrap(
    first: Sample,
    second: Sample,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Estimate ``mean(second - first)`` over the same samples, and test whether it is 0.

    The interval is the percentile bootstrap of the mean difference. The test inverts it (Efron and
    Tibshirani 1993, sections 15.4 and 16): ``p_value = min(1, 2 * (1 + rarer) / (1 + resamples))``
    with ``rarer = min(resampled means <= 0, resampled means >= 0)``, so it is below
    ``1 - confidence`` where the interval excludes 0, up to one resample. The 1 keeps it from 0
    (Davison and Hinkley 1997, section 4.2.3): the least p-value is ``2 / (1 + resamples)``.

    Args:
        first: One value per sample. A sample that is NaN on either side is left out of both.
        second: Values of the same samples, in the same order.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same result.

    Returns:
        Difference and p-value; bounds and p-value NaN with fewer than two samples.

    Raises:
        InputError: The sides differ in length.
    """
    a, b = paired(first, second)
    differences = b - a
    known = differences[~np.isnan(differences)]
    n, nan = len(known), float("nan")
    if n < 2:
        return PairedDifference(Estimate(float(known.sum()) if n else nan, nan, nan, n), nan)
    drawn = resample(lambda rows: known[rows].mean(-1), n, resamples=resamples, seed=seed)
    interval = percentile_interval(drawn, confidence)
    rarer = min((drawn <= 0).sum(), (drawn >= 0).sum())
    p_value = min(1.0, 2 * (1 + int(rarer)) / (1 + resamples))
    return PairedDifference(Estimate(float(known.mean()), *interval, n), p_value)


def holm(p_values: Float[np.ndarray, "m"]) -> Float64[np.ndarray, "m"]:
    """Correct p-values for being many: the family-wise error stays below the level.

    ``corrected[i] = max over j <= i of min(1, (m - j) * p[j])``, p ascending from j = 0 (Holm 1979,
    Scandinavian Journal of Statistics 6:65-70).

    Args:
        p_values: One per test; NaN for a test that could not be made, which does not count in m.

    Returns:
        Corrected p-values in the same order, never below the given ones; NaN stays NaN.
    """
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    ascending = known[np.argsort(p_values[known], kind="stable")]
    scaled = p_values[ascending] * np.arange(len(ascending), 0, -1)
    corrected[ascending] = np.minimum(1, np.maximum.accumulate(scaled))
    return corrected
