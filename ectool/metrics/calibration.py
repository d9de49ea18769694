"""Whether predicted probabilities are worth their name: proper scores and calibration error.

Probabilities are the softmax of the logits as they are; no temperature is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

from ectool.metrics.classification import check_labels, is_correct
from ectool.metrics.statistics import Estimate, bootstrap_interval

BINS = 15
"""Bins of Guo et al. 2017, and of most papers since."""

Logits = Float[np.ndarray, "n c"]
Labels = Integer[np.ndarray, "n"]


@dataclass(frozen=True)
class ReliabilityBin:
    """One bar of a reliability diagram: the samples whose confidence lies in (low, high].

    Attributes:
        low: Lower end of the bin, exclusive.
        high: Upper end of the bin, inclusive.
        confidence: Mean confidence of its samples; NaN without samples.
        accuracy: Share of them that is classified correctly; NaN likewise.
        n: Number of samples.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    n: int


def negative_log_likelihood(logits: Logits, labels: Labels) -> Float64[np.ndarray, "n"]:
    """Return every sample's cross-entropy, ``-log(softmax(logits)[label])``.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.

    Returns:
        Nats, at least 0, without upper bound; computed in float64, so that certainty of a wrong
        class costs what it costs.

    Raises:
        InputError: A label lies outside the classes.
    """
    check_labels(labels, logits.shape[1])
    return -_own(_log_softmax(logits), labels)


def brier_score(logits: Logits, labels: Labels) -> Float64[np.ndarray, "n"]:
    """Return every sample's Brier score: the sum over classes of squared differences.

    ``sum over classes of (softmax(logits) - one_hot(label))^2`` (Brier 1950, doi
    10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2). Of two classes that is twice the score that is
    often taken of the positive class alone.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.

    Returns:
        Scores, 0 to 2.

    Raises:
        InputError: A label lies outside the classes.
    """
    check_labels(labels, logits.shape[1])
    probabilities = np.exp(_log_softmax(logits))
    squares: Float64[np.ndarray, "n"] = (probabilities**2).sum(axis=1)
    own = _own(probabilities, labels)
    return np.asarray(squares - own**2 + (1 - own) ** 2)


def calibration_gaps(
    logits: Logits, labels: Labels, *, bins: int = BINS
) -> Float64[np.ndarray, "n"]:
    """Return every sample's part in the expected calibration error; their mean is that error.

    ``sign(bin's mean of correct - confidence) * (correct - confidence)``, confidence being the
    highest probability, and the bins those of ``reliability_table``.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.
        bins: Number of bins.

    Returns:
        Parts, -1 to 1.

    Raises:
        InputError: A label lies outside the classes.
    """
    confidence, correct, number = _binned(logits, labels, bins)
    gap = correct - confidence
    signs = np.sign(np.bincount(number, weights=gap, minlength=bins))
    return np.asarray(signs[number] * gap)


def expected_calibration_error(
    logits: Logits,
    labels: Labels,
    *,
    bins: int = BINS,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate how far confidence and accuracy lie apart, ECE, with its bootstrap interval.

    ``sum over bins of n_bin / n * |accuracy_bin - confidence_bin|``, with the bins of
    ``reliability_table`` (Guo et al., ICML 2017, https://arxiv.org/abs/1706.04599). The interval
    is the percentile bootstrap of the mean of ``calibration_gaps``, cut off at 0: it holds the
    side on which each bin lies. Absolute values of resampled bins would add the noise of the bins
    to the error a second time, and the interval of a calibrated model would not hold its own value.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.
        bins: Number of bins.
        confidence: Probability the interval covers, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same interval.

    Returns:
        The estimate, 0 to 1; NaN without samples. With few samples a bin, the value itself lies
        above the error of the population.

    Raises:
        InputError: A label lies outside the classes.
    """
    return bootstrap_interval(
        calibration_gaps(logits, labels, bins=bins),
        _mean_at_least_zero,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )


def reliability_table(
    logits: Logits, labels: Labels, *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Return confidence, accuracy and number of samples in bins of equal width.

    A bin is ``(low, high]`` as in Guo et al. 2017; torchmetrics takes ``[low, high)`` and a bin of
    its own for a confidence of exactly 1.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.
        bins: Number of bins between 0 and 1.

    Returns:
        One line per bin, the least confident first, empty ones included.

    Raises:
        InputError: A label lies outside the classes.
    """
    confidence, correct, number = _binned(logits, labels, bins)
    n = np.bincount(number, minlength=bins)
    means = [
        np.where(n > 0, np.bincount(number, weights=w, minlength=bins) / np.maximum(n, 1), np.nan)
        for w in (confidence, correct)
    ]
    edges = np.linspace(0, 1, bins + 1)
    columns = (edges[:-1], edges[1:], *means, n)
    lines = zip(*(column.tolist() for column in columns), strict=True)
    return tuple(ReliabilityBin(*line) for line in lines)


def _binned(
    logits: Logits, labels: Labels, bins: int
) -> tuple[Float64[np.ndarray, "n"], Float64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    """Return every sample's confidence, whether it is right, and the number of its bin."""
    correct = is_correct(logits, labels).astype(np.float64)
    confidence = np.exp(_log_softmax(logits).max(axis=1))
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    return confidence, correct, np.searchsorted(inner_edges, confidence)


def _log_softmax(logits: Logits) -> Float64[np.ndarray, "n c"]:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _own(values: Float64[np.ndarray, "n c"], labels: Labels) -> Float64[np.ndarray, "n"]:
    """Return the value of each sample's true class."""
    return np.asarray(values[np.arange(len(labels)), labels])


def _mean_at_least_zero(values: Float64[np.ndarray, "r n"], axis: int) -> Float64[np.ndarray, "r"]:
    return np.asarray(np.maximum(values.mean(axis), 0))
