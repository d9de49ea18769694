"""Records of training: learning curves, and the distribution of the scores in each round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ectool.reports.content import Arm, Distribution, Round
from ectool.reports.plotting import Line

QUANTILES = (0.1, 0.5, 0.9)
CONSISTENCY_EDGES = tuple(number / 20 for number in range(21))
WEIGHT_EDGES = tuple(2.0 ** (number / 2) for number in range(-8, 9))
"""Half octaves from 1/16 to 16; the first and the last bin include all values beyond them."""

CURVES = (
    ("accuracy", "Training accuracy, %", True),
    ("validation_original", "Validation accuracy, original, %", True),
    ("validation_mixed_rand", "Validation accuracy, mixed_rand, %", True),
    ("validation_map_original", "Validation mAP, original, %", True),
    ("loss", "Training loss", False),
)
"""Learning curves: key in the history, title, and whether the values are shares."""

Scores = Float[np.ndarray, "n"]
SCORES = {
    "consistency": "explanation_consistency",
    "similarity": "similarity",
    "stability": "stability",
    "weight": "weight",
}
"""Scores of a round, and their arrays in a weights artifact."""
EDGES = {name: WEIGHT_EDGES if name == "weight" else CONSISTENCY_EDGES for name in SCORES}
"""Edges of the bins of each score."""


def summarize_round(
    number: int, scores: Mapping[str, np.ndarray[Any, Any]], findings: Mapping[str, float]
) -> Round:
    """Summarize one round.

    Args:
        number: Number of the round.
        scores: The arrays of `SCORES`, by their names in a weights artifact; NaN if undefined.
        findings: Findings of `score`, with `effective_sample_size`.

    Returns:
        The summary; the effective sample size is NaN if the findings lack it.
    """
    others = {name: value for name, value in findings.items() if name != "effective_sample_size"}
    return Round(
        number=number,
        samples=len(scores["weight"]),
        undefined=int(np.isnan(scores["explanation_consistency"]).sum()),
        effective_sample_size=findings.get("effective_sample_size", float("nan")),
        findings=dict(sorted(others.items())),
        **{name: distribution(scores[array], EDGES[name]) for name, array in SCORES.items()},
    )


def distribution(values: Float[np.ndarray, "n *k"], edges: tuple[float, ...]) -> Distribution:
    """Return mean, quantiles and histogram of the values that are not NaN."""
    known = values[~np.isnan(values)].astype(np.float64)
    if len(known) == 0:
        nan = float("nan")
        return Distribution(nan, (nan, nan, nan), (0,) * (len(edges) - 1))
    low, middle, high = (float(value) for value in np.quantile(known, QUANTILES))
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    return Distribution(float(known.mean()), (low, middle, high), tuple(counts.tolist()))


def history_lines(arm: Arm, key: str) -> list[Line]:
    """Return the values over the epochs for each seed that has them."""
    lines = []
    for history in arm.histories.values():
        points = [(entry["epoch"], entry[key]) for entry in history if key in entry]
        if points:
            x, y = np.array(points, dtype=np.float64).T
            lines.append((x, y))
    return lines
