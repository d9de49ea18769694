"""How sure a share is: intervals of proportions that hold for few samples as well."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Float64, Integer

from ectool.metrics.statistics import Estimate

_PRIOR = 0.5
_PSEUDO_SAMPLES = 2


def wilson_interval(hits: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a share with Wilson's score interval, which holds for few samples as well.

    ``centre -+ half`` with ``centre = (hits + z^2 / 2) / (n + z^2)`` and
    ``half = z / (n + z^2) * sqrt(hits * (n - hits) / n + z^2 / 4)``, z the normal quantile of
    ``(1 + confidence) / 2`` (Wilson 1927, doi 10.1080/01621459.1927.10502953). Unlike the bootstrap
    it has a width where all samples are right.

    Args:
        hits: Number of samples that are right, 0 to n.
        n: Number of samples.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        The estimate, within 0 and 1; NaN without samples.
    """
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    low, high = wilson_bounds(np.array([hits]), np.array([n]), confidence=confidence)
    return Estimate(hits / n, float(low[0]), float(high[0]), n)


def wilson_bounds(
    hits: Integer[np.ndarray, "k"], n: Integer[np.ndarray, "k"], *, confidence: float = 0.95
) -> tuple[Float64[np.ndarray, "k"], Float64[np.ndarray, "k"]]:
    """Return both ends of Wilson's interval of many shares.

    Args:
        hits: Number of samples that are right, 0 to n.
        n: Number of samples, at least 1.
        confidence: Probability each interval covers, 0 to 1.

    Returns:
        Lower and upper ends, as ``wilson_interval`` defines them.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(hits * (n - hits) / n + z**2 / 4)
    # Where none or all are right, an end is exact; rounding would miss it by the last digit.
    return np.where(hits > 0, centre - half, 0.0), np.where(hits < n, centre + half, 1.0)


def paired_shares_interval(
    differences: Float[np.ndarray, "n"], *, confidence: float = 0.95
) -> Estimate:
    """Estimate the difference of two shares of the same samples.

    With ``first`` and ``second`` the numbers of samples that only one side is right about, each
    plus 1, and ``m = n + 2``: ``d = (first - second) / m`` and
    ``d -+ z * sqrt((first + second - m * d^2) / m^2)``, the adjusted Wald interval of Bonett and
    Price (2012, doi 10.3102/1076998611411915). Unlike the bootstrap it has a width where both
    sides agree on every sample.

    Args:
        differences: 1 where only the first side is right, -1 where only the second is, else 0.
        confidence: Probability the interval covers, 0 to 1.

    Returns:
        The estimate, within -1 and 1; NaN without samples.
    """
    n = len(differences)
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    first, second = ((differences == side).sum() + 1.0 for side in (1, -1))
    m = n + _PSEUDO_SAMPLES
    d = (first - second) / m
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    half = z * np.sqrt(first + second - m * d**2) / m
    low, high = max(-1.0, float(d - half)), min(1.0, float(d + half))
    return Estimate(float(differences.mean()), low, high, n)


def jeffreys_bounds(
    hits: Integer[np.ndarray, "k"],
    n: Integer[np.ndarray, "k"],
    *,
    below: float,
    above: float,
) -> tuple[Float64[np.ndarray, "k"], Float64[np.ndarray, "k"]]:
    """Return one-sided bounds of many shares, each with an error probability of its own.

    Quantiles ``below`` and ``1 - above`` of the beta distribution with parameters
    ``hits + 1/2, n - hits + 1/2`` (Brown, Cai and DasGupta 2001, doi 10.1214/ss/1009213286), and 0
    and 1 where no sample or every sample is right. At small errors Wilson's bounds are too near.

    Args:
        hits: Number of samples that are right, 0 to n.
        n: Number of samples, at least 1.
        below: Probability that a share lies below its lower bound, 0 to 1.
        above: Probability that it lies above its upper bound.

    Returns:
        Lower and upper bounds.
    """
    from scipy.special import betaincinv  # here, as importing it takes 0.3 s

    a, b = hits + _PRIOR, n - hits + _PRIOR
    low = np.where(hits > 0, betaincinv(a, b, below), 0.0)
    high = np.where(hits < n, betaincinv(a, b, 1 - above), 1.0)
    return low, high
