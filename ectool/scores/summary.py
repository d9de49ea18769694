"""Means and spreads of consistency scores, and how far one score replaces another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

Scores = Float[np.ndarray, "n *k"]


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the defined values.

    Attributes:
        mean: Their mean.
        std: Their standard deviation over samples, ``sqrt(mean((x - mean)²))``.
    """

    mean: float
    std: float


def moments(values: Scores) -> Moments | None:
    """Return mean and standard deviation of the values that are not NaN; None without one."""
    defined = _defined(values)
    return Moments(float(defined.mean()), float(defined.std())) if len(defined) else None


def relative_spread(explanation_consistency: Float[np.ndarray, "n"]) -> float:
    """Return ``std(1 - E) / mean(1 - E)``: the spread of the weights 1 - E of mean 1.

    Args:
        explanation_consistency: E of every sample in [0, 1]; NaN if undefined.

    Returns:
        0 where E tells no sample from another: it is constant, or nowhere defined.
    """
    lack = 1 - _defined(explanation_consistency)
    return float(lack.std() / lack.mean()) if lack.any() else 0.0


def correlation(one: Float[np.ndarray, "n"], other: Float[np.ndarray, "n"]) -> float | None:
    """Return Pearson's correlation over the samples on which both scores are defined.

    Returns:
        In [-1, 1]; None where either score is constant, or fewer than two samples are defined.
    """
    both = ~(np.isnan(one) | np.isnan(other))
    first, second = one[both].astype(np.float64), other[both].astype(np.float64)
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def is_misclassified(
    logits: Float[np.ndarray, "n c"], label: Integer[np.ndarray, "n *c"]
) -> Bool[np.ndarray, "n"]:
    """Return which samples have a wrong prediction.

    Args:
        logits: Their logits.
        label: True class, negative if unknown; or, multi-label, 1 for every present class.

    Returns:
        One label: whether another class has the largest logit, False for an unknown label.
        Multi-label: whether no present class is predicted (logit > 0), False without a present one.
    """
    if label.ndim == 1:
        wrong: np.ndarray = (logits.argmax(axis=1) != label) & (label >= 0)
        return wrong
    present = label == 1
    missed: np.ndarray = ~(present & (logits > 0)).any(axis=1) & present.any(axis=1)
    return missed


def _defined(values: Scores) -> Float[np.ndarray, "m"]:
    wide = values.astype(np.float64)
    return wide[~np.isnan(wide)]
