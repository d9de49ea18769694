"""Stability of a sample's prediction under the perturbation, from 0 to 1.

A sample whose logits contain NaN gets NaN, and is counted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32, Int64

from ectool.errors import InputError
from ectool.scores.blocks import blockwise

Logits = Float[np.ndarray, "n c"]
Labels = Int64[np.ndarray, "n"]
Scores = Float32[np.ndarray, "n"]
TEMPERATURE = 2
"""Divides the logits of the softened probability."""
Stability = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def probability(adversarial: Logits, labels: Labels) -> Scores:
    """Return the true label's probability for the perturbed sample, ``softmax(adversarial)[y]``.

    Args:
        adversarial: Logits of the perturbed samples.
        labels: True classes.

    Returns:
        Probabilities in [0, 1].

    Raises:
        InputError: If a label is not a column of the logits.
    """
    _check_labels(labels, adversarial.shape[1])
    return blockwise(_probability_at, adversarial, labels)


def softened(adversarial: Logits, labels: Labels) -> Scores:
    """Return the true label's probability at temperature 2, ``softmax(adversarial / 2)[y]``.

    It saturates less than ``probability``, so it still distinguishes samples of high confidence.

    Args:
        adversarial: Logits of the perturbed samples.
        labels: True classes.

    Returns:
        Probabilities in [0, 1].

    Raises:
        InputError: If a label is not a column of the logits.
    """
    return probability(adversarial / TEMPERATURE, labels)


def correct(clean: Logits, adversarial: Logits, labels: Labels) -> Scores:
    """Return 1 where clean and perturbed sample are both classified as the true label, else 0.

    Args:
        clean: Logits of the clean samples.
        adversarial: Logits of the perturbed samples.
        labels: True classes.

    Returns:
        0 or 1.

    Raises:
        InputError: If a label is not a column of the logits.
    """
    _check_labels(labels, clean.shape[1])
    return blockwise(_both_correct, clean, adversarial, labels)


def total_variation(clean: Logits, adversarial: Logits) -> Scores:
    """Return 1 minus the total variation distance between the two predicted distributions.

    ``1 - sum_k |softmax(clean)_k - softmax(adversarial)_k| / 2``; the true label is not used.

    Args:
        clean: Logits of the clean samples.
        adversarial: Logits of the perturbed samples.

    Returns:
        1 for equal distributions, 0 for disjoint ones.
    """
    return blockwise(
        lambda a, b: 1 - np.abs(softmax(a) - softmax(b)).sum(axis=1).clip(max=2) / 2,
        clean,
        adversarial,
    )


def none(labels: Labels) -> Scores:
    """Return 1 for every sample: explanation consistency is the similarity of the heatmaps.

    Args:
        labels: True classes; only their number is used.

    Returns:
        Ones.
    """
    return np.ones(len(labels), dtype=np.float32)


STABILITIES: dict[str, Stability] = {
    "probability": lambda _, adversarial, labels: probability(adversarial, labels),
    "softened": lambda _, adversarial, labels: softened(adversarial, labels),
    "correct": correct,
    "total-variation": lambda clean, adversarial, _: total_variation(clean, adversarial),
    "none": lambda _clean, _adversarial, labels: none(labels),
}
OF_BOTH = frozenset({"correct", "total-variation"})
"""Stabilities that also depend on the clean logits."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities in float64; a row with NaN or +inf, or only -inf, becomes NaN."""
    powers = _powers(logits)
    probabilities: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _powers(logits: np.ndarray) -> np.ndarray:
    """Return ``exp(logits - max(logits))`` of each row in float64, computed in place."""
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        wide -= wide.max(axis=1, keepdims=True)
        powers: np.ndarray = np.exp(wide, out=wide)
    return powers


def _probability_at(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return one column of the softmax for each row; the others are not divided."""
    powers = _powers(logits)
    probabilities: np.ndarray = _at(powers, labels) / powers.sum(axis=1)
    return probabilities


def _at(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.take_along_axis(rows, labels[:, None], axis=1)[:, 0]


def _both_correct(clean: np.ndarray, adversarial: np.ndarray, labels: np.ndarray) -> np.ndarray:
    both = (clean.argmax(axis=1) == labels) & (adversarial.argmax(axis=1) == labels)
    unknown = np.isnan(clean).any(axis=1) | np.isnan(adversarial).any(axis=1)
    return np.where(unknown, np.nan, both)


def _check_labels(labels: np.ndarray, classes: int) -> None:
    # numpy would read the label -1 as the last class.
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        raise InputError(
            "labels",
            expected=f"classes 0 to {classes - 1}",
            got=f"{labels[outside][0]}",
            fix="score with the labels the logits were made for",
        )
