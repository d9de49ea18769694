"""Which samples a report shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

LEAST, MOST, RANDOM = "least consistent", "most consistent", "random"
MAX_CLASSES = 10
"""Classes shown of a data set that has more, evenly spread."""


@dataclass(frozen=True)
class Choice:
    """A row to show, and why."""

    row: int
    reason: str


def choose(
    label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"], *, seed: int
) -> list[Choice]:
    """Choose the least consistent, the most consistent and a random sample of each class.

    Args:
        label: True classes.
        consistency: Explanation consistency; samples where it is NaN are not chosen.
        seed: Seed of the random choices.

    Returns:
        Choices, sorted by class; a class of fewer than three samples shows what it has.
    """
    classes = np.unique(label[~np.isnan(consistency)])
    shown = np.unique(np.linspace(0, len(classes) - 1, MAX_CLASSES).astype(int))
    return [
        choice
        for number in (classes[shown].tolist() if len(classes) else [])
        for choice in _choose_of_class(label, consistency, number, seed)
    ]


def _choose_of_class(
    label: Int[np.ndarray, "n"], consistency: Float[np.ndarray, "n"], number: int, seed: int
) -> list[Choice]:
    rows = np.flatnonzero((label == number) & ~np.isnan(consistency))
    ordered = rows[np.argsort(consistency[rows], kind="stable")]
    choices = [Choice(int(ordered[0]), LEAST)]
    if len(ordered) > 1:
        choices.append(Choice(int(ordered[-1]), MOST))
    if len(ordered) > 2:
        others = np.sort(ordered[1:-1])
        pick = np.random.default_rng([seed, number]).integers(len(others))
        choices.append(Choice(int(others[pick]), RANDOM))
    return choices
