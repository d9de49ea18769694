"""Intervals of shares (proportions) and of their differences, valid also for few samples."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64, Integer

from ectool.metrics.statistics import without_interval
from ectool.types import Estimate
from ectool.wilson import normal_quantile, wilson_bounds

_PRIOR = 0.5
_HALVINGS = 50


def wilson_interval(hits: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """Estimate a share with Wilson's score interval, which is valid also for few samples.

    See ``wilson_bounds``. Unlike the bootstrap it has a width where all samples are correct.

    Args:
        hits: Number of correct samples, 0 to n.
        n: Number of samples.
        confidence: Nominal probability of the interval, 0 to 1.

    Returns:
        The estimate, within 0 and 1; NaN without samples.
    """
    if n == 0:
        return without_interval(float("nan"), 0)
    share = hits / n
    z = normal_quantile(confidence)
    return Estimate(share, *score_bounds(share, share * (1 - share) / n, n, z), n)


def score_bounds(value: float, variance: float, count: int, quantile: float) -> tuple[float, float]:
    """Return Wilson's interval of a share that is not the mean of zeros and ones.

    ``value (1 - value) / variance`` zeros and ones have a mean of the same variance. This is the
    effective number of samples (Korn and Graubard 1998, Survey Methodology 24:193-201), for which
    Wilson's interval is computed.

    Args:
        value: The share, 0 to 1.
        variance: Variance of the share as an estimate.
        count: Number of samples; used where all are 0 or all are 1, so that the variance is 0.
        quantile: Quantile of the standard normal, or of Student's t for an estimated variance.

    Returns:
        Lower and upper end, within 0 and 1; both are the value where all samples are equal and
        between 0 and 1.
    """
    spread = value * (1 - value)
    if variance <= 0 and spread > 0:
        return value, value
    n = spread / variance if variance > 0 and spread > 0 else count
    return wilson_bounds(value, n, quantile)


def paired_shares_interval(
    differences: Float[np.ndarray, "n"], *, confidence: float = 0.95
) -> Estimate:
    """Estimate the difference of two shares of the same samples with Tango's score interval.

    With b and c the numbers of samples that only the first or only the second side classifies
    correctly, the interval contains every d with ``(b - c - n d)^2 <= z^2 n (2 q + d (1 - d))``. q
    is the most likely probability of c given d: ``(sqrt(B^2 - 8 n C) - B) / (4 n)`` with
    ``B = (2 n - b + c) d - b - c`` and ``C = -c d (1 - d)`` (Tango 1998, doi 10.1002/(SICI)
    1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B). Unlike the bootstrap it has a width where
    both sides agree on every sample.

    Args:
        differences: 1 where only the first side is correct, -1 where only the second is, else 0.
        confidence: Nominal probability of the interval, 0 to 1.

    Returns:
        The estimate, within -1 and 1; NaN without samples.
    """
    n = len(differences)
    if n == 0:
        return without_interval(float("nan"), 0)
    b, c = (int((differences == side).sum()) for side in (1, -1))
    z = normal_quantile(confidence)
    # The lower end of b - c is minus the upper end of c - b.
    return Estimate((b - c) / n, -_tango_end(c, b, n, z), _tango_end(b, c, n, z), n)


def _tango_end(b: int, c: int, n: int, z: float) -> float:
    """Return the upper end of Tango's interval, found by bisection."""
    inside, outside = (b - c) / n, 1.0
    for _ in range(_HALVINGS):
        d = (inside + outside) / 2
        linear, constant = (2 * n - b + c) * d - b - c, -c * d * (1 - d)
        q = (np.sqrt(max(linear**2 - 8 * n * constant, 0)) - linear) / (4 * n)
        if (b - c - n * d) ** 2 <= z**2 * n * (2 * q + d * (1 - d)):
            inside = d
        else:
            outside = d
    return (inside + outside) / 2


def jeffreys_bounds(
    hits: Integer[np.ndarray, "k"],
    n: Integer[np.ndarray, "k"],
    *,
    below: float,
    above: float,
) -> tuple[Float64[np.ndarray, "k"], Float64[np.ndarray, "k"]]:
    """Return one-sided lower and upper bounds of many shares.

    Quantiles ``below`` and ``1 - above`` of the beta distribution with parameters
    ``hits + 1/2, n - hits + 1/2`` (Brown, Cai and DasGupta 2001, doi 10.1214/ss/1009213286), and 0
    and 1 where no sample or every sample is correct. With small error probabilities the bounds of
    Wilson are too narrow.

    Args:
        hits: Numbers of correct samples, 0 to n.
        n: Numbers of samples, at least 1.
        below: Probability that a share is below its lower bound, 0 to 1.
        above: Probability that a share is above its upper bound, 0 to 1.

    Returns:
        Lower and upper bounds.
    """
    from scipy.special import betaincinv  # here, as importing it takes 0.3 s

    a, b = hits + _PRIOR, n - hits + _PRIOR
    low = np.where(hits > 0, betaincinv(a, b, below), 0.0)
    high = np.where(hits < n, betaincinv(a, b, 1 - above), 1.0)
    return low, high
