"""Accuracy over strata of the samples: the mean over classes, and that of the worst group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64, Integer

from ectool.metrics.classification import check_one_each
from ectool.metrics.statistics import Estimate, Statistic, percentile_interval

_DRAWS_AT_ONCE = 2**21


def balanced_accuracy(
    correct: Bool[np.ndarray, "n"],
    labels: Integer[np.ndarray, "m"],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate the mean over classes of the share of their samples that is classified correctly.

    ``mean over classes of mean(correct[labels == class])``, over the classes that have samples, as
    scikit-learn's ``balanced_accuracy_score``. The percentile bootstrap is stratified: every
    class keeps its number of samples, so that none drops out of a resample.

    Args:
        correct: Whether each sample is classified correctly.
        labels: True classes.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate, 0 to 1; NaN without samples. A class of one sample has no spread in a
        stratified bootstrap, so with few samples a class the interval is too narrow.

    Raises:
        InputError: The arrays differ in length.
    """
    return _over_strata(np.mean, correct, labels, confidence, resamples, seed)


def worst_group_accuracy(
    correct: Bool[np.ndarray, "n"],
    groups: Integer[np.ndarray, "m"],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate the accuracy of the group of samples that is classified worst.

    ``min over groups of mean(correct[groups == group])`` (Sagawa et al., ICLR 2020,
    https://arxiv.org/abs/1911.08731). The percentile bootstrap is stratified by group, and each
    resample has its own worst group; the least of many noisy numbers is low, so with many or small
    groups the interval leans downwards.

    Args:
        correct: Whether each sample is classified correctly.
        groups: Number of the group each sample belongs to; any integers.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate, 0 to 1, with the number of all samples; NaN without samples.

    Raises:
        InputError: The arrays differ in length.
    """
    return _over_strata(np.min, correct, groups, confidence, resamples, seed)


def _over_strata(
    statistic: Statistic,
    correct: Bool[np.ndarray, "n"],
    strata: Integer[np.ndarray, "m"],
    confidence: float,
    resamples: int,
    seed: int,
) -> Estimate:
    """Estimate a statistic of the accuracies of strata by stratified percentile bootstrap."""
    check_one_each(correct, strata)
    n = len(correct)
    if n == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    _, number, totals = np.unique(strata, return_inverse=True, return_counts=True)
    shares = np.bincount(number[correct], minlength=len(totals)) / totals
    value = float(statistic(shares[None], -1)[0])
    if n == 1:
        return Estimate(value, float("nan"), float("nan"), n)
    drawn = [statistic(part, -1) for part in _resampled_shares(shares, totals, resamples, seed)]
    return Estimate(value, *percentile_interval(np.concatenate(drawn), confidence), n)


def _resampled_shares(
    shares: Float64[np.ndarray, "s"], totals: Int64[np.ndarray, "s"], resamples: int, seed: int
) -> Iterator[Float64[np.ndarray, "r s"]]:
    """Draw the accuracy of every stratum in each resample, a bounded number at a time.

    Drawing n of n samples with replacement, of which a share is right, is a binomial number.
    """
    generator = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_ONCE // len(totals))
    for start in range(0, resamples, step):
        size = (min(step, resamples - start), len(totals))
        yield generator.binomial(totals, shares, size) / totals
