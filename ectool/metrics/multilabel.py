"""Multi-label metrics: average precision as defined by PASCAL VOC, and accuracy of labels.

Labels are 1 where a class is present, 0 where it is absent and -1 where it does not count, such as
the "difficult" objects of VOC. A pair of sample and class that does not count is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int8, Integer

from ectool.errors import InputError
from ectool.metrics.ranking import Interpolation, Ranking, average_precisions, rank
from ectool.metrics.statistics import (
    mean_of_defined,
    resample,
    without_interval,
)
from ectool.types import Estimate
from ectool.wilson import normal_quantile

Scores = Float[np.ndarray, "n c"]
_EDGE = 1e-6
"""Min distance of a share from 0 and 1 before its logit is computed."""
Labels = Int8[np.ndarray, "m k"]


@dataclass(frozen=True)
class ClassResult:
    """A row of the table of classes.

    Attributes:
        name: Name of the class.
        average_precision: In [0, 1]; NaN without a sample that contains the class.
        present: Number of samples that contain the class.
        absent: Number of samples that do not contain it; the other samples do not count.
    """

    name: str
    average_precision: float
    present: int
    absent: int


def average_precision(
    scores: Scores, labels: Labels, *, interpolation: Interpolation = "all-points"
) -> Float64[np.ndarray, "c"]:
    """Return the area under each class's precision-recall curve.

    With ``envelope(r) = max(precision where recall >= r)``, "all-points" is the integral of the
    envelope over r from 0 to 1, as in VOC since 2010, and "11-point" its mean over r = 0, 0.1,
    ..., 1, as in VOC 2007 (Everingham et al. 2010, doi 10.1007/s11263-009-0275-4, section 4.2;
    ``VOCevalcls.m`` and ``VOCap.m`` of the devkit). Deviations: equal scores are one rank, so
    precision and recall are those after all of them are retrieved, and the order of the samples
    has no effect (the devkit uses that of its files); ``recall >= r`` is decided in integers.

    Args:
        scores: Scores of every class; any increasing function of them gives the same result. NaN
            ranks last.
        labels: Present (1), absent (0) and uncounted (-1) classes.
        interpolation: How the curve is integrated.

    Returns:
        Average precision of each class, in [0, 1]; NaN without a positive.

    Raises:
        InputError: Scores and labels differ in shape, or a label is not 1, 0 or -1.
    """
    everyone_once = np.ones((1, len(scores)), np.int64)
    (precisions,) = _by_class(_rankings(scores, labels), everyone_once, interpolation)
    return np.asarray(precisions)


def mean_average_precision(
    scores: Scores, labels: Labels, *, interpolation: Interpolation = "all-points"
) -> float:
    """Return the mean of ``average_precision`` over the classes that have a positive.

    Args:
        scores: Scores of every class.
        labels: Present (1), absent (0) and uncounted (-1) classes.
        interpolation: How the curve is integrated.

    Returns:
        mAP, in [0, 1]; NaN where no class has a positive.

    Raises:
        InputError: Scores and labels differ in shape, or a label is not 1, 0 or -1.
    """
    precisions = average_precision(scores, labels, interpolation=interpolation)
    return float(mean_of_defined(precisions[None])[0])


def mean_average_precision_interval(
    scores: Scores,
    labels: Labels,
    *,
    interpolation: Interpolation = "all-points",
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Estimate mean average precision with its spread over bootstrap resamples.

    The mean of a resample is over the classes with a positive. A positive that a resample contains
    twice raises the envelope, so resamples exceed the value by about as much as the value exceeds
    that of the population. The ends are ``logit(value) - bias -+ z * deviation``, with bias and
    deviation of the resampled logits and the normal quantile z. With few positives per class the
    remaining bias is unknown: the simulated coverage is 0.75 to 0.97 with 3 to 240 positives per
    class, and lower for the 11-point form. The ends are therefore called a spread.

    Args:
        scores: Scores of every class.
        labels: Present (1), absent (0) and uncounted (-1) classes.
        interpolation: How the curve is integrated.
        confidence: Nominal probability, 0 to 1.
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same seed gives the same spread.

    Returns:
        The estimate, a spread; value NaN where no class has a positive, bounds NaN then and with
        fewer than two samples.

    Raises:
        InputError: Scores and labels differ in shape, or a label is not 1, 0 or -1.
    """
    rankings = _rankings(scores, labels)

    def statistic(rows: Integer[np.ndarray, "r n"]) -> Float64[np.ndarray, "r"]:
        return mean_of_defined(_by_class(rankings, _counts(rows), interpolation))

    n, value = len(scores), float("nan")
    if n:
        value = mean_average_precision(scores, labels, interpolation=interpolation)
    if n < 2 or np.isnan(value):
        return without_interval(value, n, kind="spread")
    drawn = _logit(resample(statistic, n, resamples=resamples, seed=seed))
    shift = _logit(np.array([value])) - (np.nanmean(drawn) - _logit(np.array([value])))
    z = normal_quantile(confidence)
    low, high = (float(1 / (1 + np.exp(-(shift + s * z * np.nanstd(drawn))))[0]) for s in (-1, 1))
    return Estimate(value, min(value, low), max(value, high), n, kind="spread")


def _logit(shares: Float64[np.ndarray, "r"]) -> Float64[np.ndarray, "r"]:
    inside = np.clip(shares, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)))


def class_table(
    scores: Scores,
    labels: Labels,
    names: Sequence[str],
    *,
    interpolation: Interpolation = "all-points",
) -> tuple[ClassResult, ...]:
    """Return average precision and number of samples per class.

    Args:
        scores: Scores of every class.
        labels: Present (1), absent (0) and uncounted (-1) classes.
        names: Names of the classes, one per column.
        interpolation: How the curve is integrated.

    Returns:
        One row per class, in the order of the columns.

    Raises:
        InputError: Scores and labels differ in shape, or a label is not 1, 0 or -1.
    """
    precisions = average_precision(scores, labels, interpolation=interpolation)
    present, absent = (labels == 1).sum(axis=0), (labels == 0).sum(axis=0)
    columns = (precisions.tolist(), present.tolist(), absent.tolist())
    return tuple(ClassResult(*line) for line in zip(names, *columns, strict=True))


def label_accuracy(logits: Scores, labels: Labels) -> Float64[np.ndarray, "n"]:
    """Return the share of each sample's counting labels that are predicted correctly.

    A class is predicted as present where its logit is above 0; a logit that is NaN is incorrect.

    Args:
        logits: One logit per class.
        labels: Present (1), absent (0) and uncounted (-1) classes.

    Returns:
        Shares, 0 to 1; NaN for a sample without a counting label.

    Raises:
        InputError: Logits and labels differ in shape, or a label is not 1, 0 or -1.
    """
    correct, counting = _correct_labels(logits, labels)
    return np.where(counting > 0, correct / np.maximum(counting, 1), np.nan)


def exact_match(logits: Scores, labels: Labels) -> Float64[np.ndarray, "n"]:
    """Return for every sample whether all of its counting labels are predicted correctly.

    The mean over samples is the exact-match ratio (subset accuracy).

    Args:
        logits: One logit per class.
        labels: Present (1), absent (0) and uncounted (-1) classes.

    Returns:
        1 or 0; NaN for a sample without a counting label.

    Raises:
        InputError: Logits and labels differ in shape, or a label is not 1, 0 or -1.
    """
    correct, counting = _correct_labels(logits, labels)
    return np.where(counting > 0, correct == counting, np.nan)


def _rankings(scores: Scores, labels: Labels) -> list[Ranking]:
    _check(scores, labels)
    return [rank(*columns) for columns in zip(scores.T, labels.T, strict=True)]


def _by_class(
    rankings: Sequence[Ranking], counts: Integer[np.ndarray, "r n"], interpolation: Interpolation
) -> Float64[np.ndarray, "r c"]:
    return np.stack([average_precisions(r, counts, interpolation) for r in rankings], axis=1)


def _counts(rows: Integer[np.ndarray, "r n"]) -> Integer[np.ndarray, "r n"]:
    """Count how often each resample contains each sample."""
    resamples, samples = rows.shape
    cells = rows + samples * np.arange(resamples)[:, None]
    return np.bincount(cells.ravel(), minlength=rows.size).reshape(rows.shape)


def _correct_labels(
    logits: Scores, labels: Labels
) -> tuple[Integer[np.ndarray, "n"], Integer[np.ndarray, "n"]]:
    """Return the numbers of each sample's correctly predicted and of its counting labels."""
    _check(logits, labels)
    correct: Bool[np.ndarray, "n c"] = np.where(labels == 1, logits > 0, logits <= 0)
    counting = labels >= 0
    return (correct & counting).sum(axis=1), counting.sum(axis=1)


def _check(scores: Scores, labels: Labels) -> None:
    if scores.shape != labels.shape:
        raise InputError(
            "labels",
            expected=f"shape {scores.shape}, one per sample and class",
            got=str(labels.shape),
            fix="evaluate the model on the data set it was made for",
        )
    unknown = labels[(labels < -1) | (labels > 1)]
    if unknown.size:
        raise InputError(
            "labels",
            expected="1 (present), 0 (absent) or -1 (not counted)",
            got=str(unknown[0]),
            fix="correct the data set's labels",
        )
