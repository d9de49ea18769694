"""Calibration of predicted probabilities: proper scores, calibration error, reliability table.

Probabilities are the softmax of the unchanged logits; no temperature is fitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64, Integer

from ectool.metrics.classification import check_labels, is_correct
from ectool.metrics.statistics import without_interval
from ectool.types import Estimate
from ectool.wilson import normal_quantile

BINS = 15
"""Number of bins in Guo et al. 2017 and in most later papers."""
_HALVINGS = 50

Logits = Float[np.ndarray, "n c"]
Labels = Integer[np.ndarray, "n"]


@dataclass(frozen=True)
class ReliabilityBin:
    """A bin of a reliability diagram: the samples with a confidence in (low, high].

    Attributes:
        low: Lower end of the bin, exclusive.
        high: Upper end of the bin, inclusive.
        confidence: Mean confidence of its samples; NaN without samples.
        accuracy: Share of its samples that is classified correctly; NaN without samples.
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
        Nats, at least 0, without upper bound; computed in float64, so that the loss of a confident
        error is exact.

    Raises:
        InputError: A label lies outside the classes.
    """
    check_labels(labels, logits.shape[1])
    return -_own(_log_softmax(logits), labels)


def brier_score(logits: Logits, labels: Labels) -> Float64[np.ndarray, "n"]:
    """Return every sample's Brier score: the sum over classes of squared differences.

    ``sum over classes of (softmax(logits) - one_hot(label))^2`` (Brier 1950, doi
    10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2). For two classes it is twice the score of the
    positive class alone, which is also in use.

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


def expected_calibration_error(
    logits: Logits,
    labels: Labels,
    *,
    bins: int = BINS,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate the expected calibration error (ECE) with an interval of nominal coverage.

    ``sum over bins of n_bin / n * |accuracy_bin - confidence_bin|``, with the bins of
    ``reliability_table`` (Guo et al., ICML 2017, https://arxiv.org/abs/1706.04599). Noise in a bin
    increases the expected absolute value, so the value is biased upwards. A bootstrap of it adds
    the noise a second time. The interval is a normal one with these parts, each our choice:

    - Its centre is the sum over bins of the gap ``d >= 0`` whose expected noisy absolute value,
      ``E|N(d, s)|`` with the bin's standard error s, is the observed one.
    - Its standard error is that of the mean over samples of the parts
      ``sign(bin's mean of correct - confidence) * (correct - confidence)``, whose mean is the ECE.
    - Its lower end counts only bins whose gap exceeds the normal quantile times s. The gaps that
      remain by chance in calibrated bins would add up, and the end would be too high where the
      error lies in few bins.
    - Its lower end is 0 where a calibrated model can have gaps of this size, by a simulated
      one-sided test with half of the error probability.
    - Its upper end is at least the value.

    Its coverage in simulations of 100 to 1000 samples is 0.93 to 1.00.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.
        bins: Number of bins.
        confidence: Nominal probability of the interval, 0 to 1.
        resamples: Number of simulated calibrated models.
        seed: Seed of the simulation; the same seed gives the same interval.

    Returns:
        The estimate, 0 to 1; value NaN without samples, bounds NaN with fewer than two. With few
        samples per bin the value exceeds the error of the population.

    Raises:
        InputError: A label lies outside the classes.
    """
    n = len(labels)
    sure, correct, number = _binned(logits, labels, bins)
    held = np.bincount(number, weights=correct - sure, minlength=bins)
    value = float(np.abs(held).sum() / n) if n else float("nan")
    if n < 2:
        return without_interval(value, n)
    gap = np.sign(held)[number] * (correct - sure)
    squares = np.bincount(number, weights=gap**2, minlength=bins)
    errors = np.sqrt(np.maximum(squares / n - (held / n) ** 2, 0) / n)
    z, seen = normal_quantile(confidence), np.abs(held) / n
    gaps = _without_noise(seen, errors)
    centre, clear = float(gaps.sum()), float(gaps[seen > z * errors].sum())
    half = z * float(gap.std() / np.sqrt(n))
    chance = np.sqrt(np.bincount(number, weights=sure * (1 - sure), minlength=bins)) / n
    noise = np.random.default_rng(seed).standard_normal((resamples, bins))
    by_chance = np.abs(noise * chance).sum(axis=1)
    is_significant = (by_chance >= value).mean() <= (1 - confidence) / 2
    low = max(0.0, clear - half) if is_significant else 0.0
    return Estimate(value, min(low, value), max(value, centre + half), n)


def _without_noise(
    seen: Float64[np.ndarray, "b"], errors: Float64[np.ndarray, "b"]
) -> Float64[np.ndarray, "b"]:
    """Return the means ``d >= 0`` of normal variables whose expected absolute values are given.

    ``E|N(d, s)| = s sqrt(2 / pi) exp(-d^2 / 2 s^2) + d erf(d / (s sqrt 2))`` increases with d, so
    bisection finds d; it is 0 where d = 0 already has a larger expectation.
    """
    from scipy.special import erf  # here, as importing it takes 0.3 s

    scale = np.maximum(errors, np.finfo(np.float64).tiny)
    low, high = np.zeros_like(seen), seen.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ratio = middle / scale / np.sqrt(2)
        expected = scale * np.sqrt(2 / np.pi) * np.exp(-(ratio**2)) + middle * erf(ratio)
        low, high = np.where(expected > seen, low, middle), np.where(expected > seen, middle, high)
    return np.asarray(low)


def reliability_table(
    logits: Logits, labels: Labels, *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Return confidence, accuracy and number of samples in bins of equal width.

    A bin is ``(low, high]`` as in Guo et al. 2017; torchmetrics takes ``[low, high)`` and another
    bin for a confidence of exactly 1.

    Args:
        logits: Finite logit of every class.
        labels: True classes, 0 to c - 1.
        bins: Number of bins between 0 and 1.

    Returns:
        One row per bin in order of confidence, empty bins included.

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
    """Return every sample's confidence, whether it is correct, and the index of its bin."""
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
