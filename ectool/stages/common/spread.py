"""Findings of `score`: the parts of explanation consistency apart, and whether it has a spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from ectool.artifacts.schema import Arrays
from ectool.scores.multilabel import average_over_labels
from ectool.scores.summary import correlation, moments, relative_spread
from ectool.stages.common.layout import MISCLASSIFIED

SCORES = {
    "similarity": "heatmap similarity",
    "stability": "prediction stability",
    "explanation_consistency": "explanation consistency",
    "weight": "weight",
}
"""Arrays of a weights artifact, and their names in sentences."""
SPREAD = "consistency_spread"
"""Finding: spread of the weights 1 - E, whose mean is 1."""
CORRELATION = "consistency_stability_correlation"
"""Finding: correlation of explanation consistency with prediction stability."""
MIN_SPREAD = 0.05
"""Minimum spread of the weights 1 - E; with a smaller one, they are within a few percent of 1."""
MIN_SIMILARITY_STD = 0.01
"""Minimum standard deviation of heatmap similarity; with a smaller one, E is the stability."""
MOST = 0.9
"""Share of misclassified samples that suggests an attack that is too strong."""
DIGITS = 6


def findings(arrays: Arrays, misclassified: int) -> dict[str, float]:
    """Return mean and spread of each score, as findings of a weights artifact.

    Args:
        arrays: The arrays of the artifact.
        misclassified: Number of samples that are misclassified after the attack.

    Returns:
        `NAME_mean` and `NAME_std` of each score, `SPREAD`, `MISCLASSIFIED` and `CORRELATION`;
        without those that are undefined.
    """
    found: dict[str, float] = {}
    for name in SCORES:
        if (both := moments(arrays[name])) is not None:
            found |= {f"{name}_{part}": value for part, value in asdict(both).items()}
    consistency, stability = arrays["explanation_consistency"], arrays["stability"]
    found[SPREAD] = relative_spread(consistency)
    flat = stability if stability.ndim == 1 else average_over_labels(stability)
    if (alike := correlation(consistency, flat)) is not None:
        found[CORRELATION] = alike
    rounded = {name: round(float(value), DIGITS) for name, value in found.items()}
    return {**rounded, MISCLASSIFIED: misclassified}


def summary(found: Mapping[str, float]) -> str:
    """Return mean and standard deviation of each score as one line."""
    parts = (
        f"{text} {_with_spread(found, name)}"
        for name, text in SCORES.items()
        if f"{name}_mean" in found
    )
    return ", ".join(parts)


def without_spread(found: Mapping[str, float], length: int) -> str:
    """Return a sentence if E has no spread, else nothing.

    Args:
        found: Findings of a weights artifact; those of earlier versions lack the spread.
        length: Number of samples.
    """
    if "explanation_consistency_mean" not in found or found.get(SPREAD, np.inf) >= MIN_SPREAD:
        return ""
    misclassified = int(found.get(MISCLASSIFIED, 0))
    direction = "lower" if misclassified >= MOST * length else "increase"
    return (
        "explanation consistency has no spread: the standard deviation of the weights 1 - E is "
        f"{100 * found[SPREAD]:.2g} % of their mean, and {misclassified} of {length} samples are "
        f"misclassified after the attack; {direction} --eps of `perturb`, or use --eps auto"
    )


def stability_alone(found: Mapping[str, float], length: int) -> str:
    """Return a sentence if E has a spread, but is practically the prediction stability alone."""
    missing = {SPREAD, CORRELATION, "explanation_consistency_mean"} - found.keys()
    if missing or without_spread(found, length):
        return ""
    if found.get("similarity_std", np.inf) >= MIN_SIMILARITY_STD:
        return ""
    return (
        "explanation consistency is practically the prediction stability alone (correlation "
        f"{found[CORRELATION]:.3f}): heatmap similarity is {_with_spread(found, 'similarity')};"
        " another --similarity of `score` or --attack of `perturb` may tell more"
    )


def _with_spread(found: Mapping[str, float], name: str) -> str:
    return f"{found[f'{name}_mean']:.4f} ± {found[f'{name}_std']:.4f}"
