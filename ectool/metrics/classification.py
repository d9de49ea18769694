"""Accuracy: per sample, per class, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from ectool.errors import InputError
from ectool.metrics.proportions import wilson_interval

OTHER = "(other)"
"""Name of predictions that are none of the classes, by models of more classes."""


@dataclass(frozen=True)
class ClassAccuracy:
    """A row of the table of classes.

    Attributes:
        name: Name of the class.
        accuracy: Share of its samples that are classified correctly (recall); NaN without samples.
        low: Lower end of Wilson's interval; NaN without samples.
        high: Upper end of Wilson's interval; NaN without samples.
        n: Number of samples.
    """

    name: str
    accuracy: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class ConfusionCell:
    """A cell of the confusion matrix.

    Attributes:
        label: Name of the true class.
        predicted: Name of the class of the highest logit, or `OTHER`.
        n: Number of samples.
    """

    label: str
    predicted: str
    n: int


def is_correct(
    logits: Float[np.ndarray, "n c"], labels: Integer[np.ndarray, "n"]
) -> Bool[np.ndarray, "n"]:
    """Return for every sample whether its highest logit is that of its label.

    Of several equal highest logits the first one counts. A row that contains NaN is incorrect.

    Args:
        logits: Scores of every class; any increasing function of them gives the same result.
        labels: True classes, 0 to c - 1.

    Returns:
        True where the prediction is correct.

    Raises:
        InputError: A label lies outside the classes.
    """
    check_labels(labels, logits.shape[1])
    undefined = np.isnan(logits).any(axis=1)
    return np.asarray((logits.argmax(axis=1) == labels) & ~undefined)


def is_correct_top_k(
    logits: Float[np.ndarray, "n c"], labels: Integer[np.ndarray, "n"], k: int
) -> Bool[np.ndarray, "n"]:
    """Return for every sample whether its label is among the k classes of the highest logits.

    Of equal logits the first classes count, so k = 1 is ``is_correct``. Otherwise it is equal to
    scikit-learn's ``top_k_accuracy_score``, which takes the last of equal logits. A row that
    contains NaN is incorrect.

    Args:
        logits: Scores of every class; any increasing function of them gives the same result.
        labels: True classes, 0 to c - 1.
        k: Number of predicted classes, at least 1; with c or more every sample is correct.

    Returns:
        True where the label is among them.

    Raises:
        InputError: A label lies outside the classes.
    """
    check_labels(labels, logits.shape[1])
    own = np.take_along_axis(logits, labels[:, None].astype(np.int64), axis=1)
    is_earlier = np.arange(logits.shape[1]) < labels[:, None]
    ahead = (logits > own) | ((logits == own) & is_earlier)
    undefined = np.isnan(logits).any(axis=1)
    return np.asarray((ahead.sum(axis=1) < k) & ~undefined)


def accuracy(logits: Float[np.ndarray, "n c"], labels: Integer[np.ndarray, "n"]) -> float:
    """Return the share of samples whose highest logit is that of their label.

    Args:
        logits: Scores of every class.
        labels: True classes, 0 to c - 1.

    Returns:
        Accuracy, 0 to 1; NaN where there are no samples.

    Raises:
        InputError: A label lies outside the classes.
    """
    if len(labels) == 0:
        return float("nan")
    return float(is_correct(logits, labels).mean())


def class_accuracies(
    correct: Bool[np.ndarray, "n"],
    labels: Integer[np.ndarray, "m"],
    names: Sequence[str],
    *,
    confidence: float = 0.95,
) -> tuple[ClassAccuracy, ...]:
    """Return accuracy and number of samples per class.

    Args:
        correct: Whether each sample is classified correctly.
        labels: True classes, 0 to the number of names - 1.
        names: Names of the classes.
        confidence: Nominal probability of each interval, 0 to 1.

    Returns:
        One row per class, in the order of the names, with Wilson's interval.

    Raises:
        InputError: The arrays differ in length, or a label lies outside the classes.
    """
    check_one_each(correct, labels)
    check_labels(labels, len(names))
    totals = np.bincount(labels, minlength=len(names))
    hits = np.bincount(labels[correct], minlength=len(names))
    shares = [
        wilson_interval(int(hit), int(total), confidence=confidence)
        for hit, total in zip(hits, totals, strict=True)
    ]
    return tuple(
        ClassAccuracy(name, share.value, share.low, share.high, share.n)
        for name, share in zip(names, shares, strict=True)
    )


def confusion(
    logits: Float[np.ndarray, "n c"], labels: Integer[np.ndarray, "n"], names: Sequence[str]
) -> tuple[ConfusionCell, ...]:
    """Count the samples of each class that are predicted as each class.

    Args:
        logits: Scores of every class; of several equal highest ones the first one counts.
        labels: True classes, 0 to c - 1.
        names: Names of the classes; further logits are those of ``OTHER``.

    Returns:
        The cells that are not 0, row by row; at most as many as there are samples.

    Raises:
        InputError: A label lies outside the classes.
    """
    check_labels(labels, len(names))
    predictions = np.minimum(logits.argmax(axis=1), len(names))
    pairs = np.stack([labels, predictions], axis=1)
    cells, counts = np.unique(pairs, axis=0, return_counts=True)
    return tuple(
        ConfusionCell(names[label], [*names, OTHER][predicted], int(n))
        for (label, predicted), n in zip(cells.tolist(), counts, strict=True)
    )


def check_labels(labels: Integer[np.ndarray, "n"], classes: int) -> None:
    """Check that every label is one of the classes.

    Args:
        labels: True classes.
        classes: Number of classes.

    Raises:
        InputError: A label is not 0 to classes - 1.
    """
    outside = labels[(labels < 0) | (labels >= classes)]
    if outside.size:
        raise InputError(
            "labels",
            expected=f"classes 0 to {classes - 1}, one per column of the logits",
            got=str(outside[0]),
            fix="evaluate the model on the data set it was made for",
        )


def check_one_each(correct: Bool[np.ndarray, "n"], others: Integer[np.ndarray, "m"]) -> None:
    """Check that there is a label or group for every sample.

    Args:
        correct: Whether each sample is classified correctly.
        others: Labels or groups.

    Raises:
        InputError: The arrays differ in length.
    """
    if len(correct) != len(others):
        raise InputError(
            "labels or groups",
            expected=f"{len(correct)}, one per sample",
            got=str(len(others)),
            fix="join both on their sample ids first",
        )
