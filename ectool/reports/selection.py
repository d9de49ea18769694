"""Selection of the samples that a report shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

LEAST, MOST, RANDOM = "least consistent", "most consistent", "random"
SPREAD = "evenly spread"
MAX_CLASSES = 10
"""Classes shown of a data set; of more classes, an evenly spread subset is shown."""


@dataclass(frozen=True)
class Choice:
    """A selected row, and the reason."""

    row: int
    reason: str


def choose(
    label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"], *, seed: int
) -> list[Choice]:
    """Choose the least consistent, the most consistent and a random sample of each class.

    Args:
        label: True classes.
        consistency: Explanation consistency; samples with NaN are not chosen.
        seed: Seed of the random choices.

    Returns:
        Choices, sorted by class; fewer than three for classes with fewer samples.
    """
    return [
        choice
        for number in _shown_classes(label, consistency)
        for choice in _choose_of_class(label, consistency, number, seed)
    ]


def spread(
    label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"], *, count: int
) -> list[Choice]:
    """Choose samples of each class, evenly spread from the least to the most consistent.

    Args:
        label: True classes.
        consistency: Explanation consistency; samples with NaN are not chosen.
        count: Total number of samples to choose; every shown class has at least one.

    Returns:
        Choices, sorted by class, the least consistent first.
    """
    classes = _shown_classes(label, consistency)
    of_class = max(1, count // max(1, len(classes)))
    choices = []
    for number in classes:
        ordered = _ordered(label, consistency, number)
        places = np.unique(np.linspace(0, len(ordered) - 1, of_class).round().astype(int))
        choices += [Choice(int(row), SPREAD) for row in ordered[places]]
    return choices


def _shown_classes(label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"]) -> list[int]:
    """Return at most `MAX_CLASSES` classes with defined samples, evenly spread."""
    classes = np.unique(label[~np.isnan(consistency)])
    if len(classes) == 0:
        return []
    shown = np.unique(np.linspace(0, len(classes) - 1, MAX_CLASSES).astype(int))
    found: list[int] = classes[shown].tolist()
    return found


def _ordered(
    label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"], number: int
) -> Int[np.ndarray, "k"]:
    """Return the rows of a class, the least consistent first."""
    rows = np.flatnonzero((label == number) & ~np.isnan(consistency))
    return rows[np.argsort(consistency[rows], kind="stable")]


def _choose_of_class(
    label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"], number: int, seed: int
) -> list[Choice]:
    ordered = _ordered(label, consistency, number)
    choices = [Choice(int(ordered[0]), LEAST)]
    if len(ordered) > 1:
        choices.append(Choice(int(ordered[-1]), MOST))
    if len(ordered) > 2:
        others = np.sort(ordered[1:-1])
        pick = np.random.default_rng([seed, number]).integers(len(others))
        choices.append(Choice(int(others[pick]), RANDOM))
    return choices
