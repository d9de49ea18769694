"""Accuracy over strata of the samples: mean over classes, and accuracy of the worst group."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64, Integer

from ectool.metrics.classification import check_one_each
from ectool.metrics.proportions import jeffreys_bounds, score_bounds
from ectool.metrics.statistics import without_interval
from ectool.types import Estimate
from ectool.wilson import normal_quantile

_BELOW, _ABOVE = 0.4, 0.6
"""Shares of the error probability below and above the interval of the worst group."""
_CANDIDATE_ERROR = 0.05
"""Error probability of the bounds that select candidates for the worst group."""


def balanced_accuracy(
    correct: Bool[np.ndarray, "n"],
    labels: Integer[np.ndarray, "m"],
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the mean over classes of the share of their samples that is classified correctly.

    ``mean over classes of mean(correct[labels == class])``, over the classes that have samples, as
    scikit-learn's ``balanced_accuracy_score``. The interval is that of ``score_bounds`` with
    the variance ``sum over k classes of p (1 - p) / n / k^2`` and ``p = (hits + 1/2) / (n + 1)``,
    the mean of Jeffreys' posterior: a class whose samples are all classified correctly, or none,
    has a variance, too. Without it, a model that predicts one class has an interval of width 0. The
    coverage in simulations of 2 to 50 classes and 40 to 300 samples is 0.94 to 1.00.

    Args:
        correct: Whether each sample is classified correctly.
        labels: True classes.
        confidence: Nominal probability of the interval, 0 to 1.

    Returns:
        The estimate, 0 to 1; value NaN without samples, bounds NaN with fewer than two.

    Raises:
        InputError: The arrays differ in length.
    """
    hits, totals = _counts(correct, labels)
    if len(correct) < 2:
        return _first_share(hits, totals)
    value, n = float((hits / totals).mean()), len(correct)
    expected = (hits + 0.5) / (totals + 1)
    variance = float((expected * (1 - expected) / totals).sum()) / len(totals) ** 2
    low, high = score_bounds(value, variance, n, normal_quantile(confidence))
    return Estimate(value, low, high, n)


def worst_group_accuracy(
    correct: Bool[np.ndarray, "n"],
    groups: Integer[np.ndarray, "m"],
    *,
    confidence: float = 0.95,
) -> Estimate:
    """Estimate the accuracy of the group of samples with the lowest accuracy.

    ``min over groups of mean(correct[groups == group])`` (Sagawa et al., ICLR 2020,
    https://arxiv.org/abs/1911.08731). The minimum of many noisy values is below the accuracy of the
    population's worst group, so a bootstrap interval does not have nominal coverage. The interval
    is ``min(lower bounds)`` to ``min(upper bounds)`` over the groups. Every group that may be the
    worst can have the smallest upper bound by chance, so the upper bounds get Sidak's correction
    for the number of these candidates. The lower bound needs none. The coverage in simulations of 2
    to 100 groups of 10 to 200 samples is 0.94 to 0.99.

    Args:
        correct: Whether each sample is classified correctly.
        groups: Group of each sample; any integers.
        confidence: Minimum nominal probability of the interval, 0 to 1.

    Returns:
        The estimate, 0 to 1, with the number of all samples; value NaN without samples, bounds NaN
        with fewer than two.

    Raises:
        InputError: The arrays differ in length.
    """
    hits, totals = _counts(correct, groups)
    if len(correct) < 2:
        return _first_share(hits, totals)
    low, high = jeffreys_bounds(hits, totals, below=_CANDIDATE_ERROR, above=_CANDIDATE_ERROR)
    candidates = int((low <= high.min()).sum())
    error = 1 - confidence
    low, high = jeffreys_bounds(
        hits, totals, below=_BELOW * error, above=1 - (1 - _ABOVE * error) ** (1 / candidates)
    )
    return Estimate(float((hits / totals).min()), float(low.min()), float(high.min()), len(correct))


def _counts(
    correct: Bool[np.ndarray, "n"], strata: Integer[np.ndarray, "m"]
) -> tuple[Int64[np.ndarray, "s"], Int64[np.ndarray, "s"]]:
    """Return the numbers of correct and of all samples of each stratum."""
    check_one_each(correct, strata)
    _, number, totals = np.unique(strata, return_inverse=True, return_counts=True)
    return np.bincount(number[correct], minlength=len(totals)).astype(np.int64), totals


def _first_share(hits: Int64[np.ndarray, "s"], totals: Int64[np.ndarray, "s"]) -> Estimate:
    value = float(hits[0] / totals[0]) if len(totals) else float("nan")
    return without_interval(value, int(totals.sum()))
