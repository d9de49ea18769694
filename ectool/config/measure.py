"""The measure of explanation consistency: default of `score`, and the one of `evaluate`.

This is the one place to change it. `evaluate` uses it for every model, however it was trained, so
that values can be compared; definitions of metrics follow from it. It is the one that `ectool
validity` chose, with one other image in place of four.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Similarity = Literal["cosine", "pearson", "ssim", "top-iou"]
Stability = Literal["probability", "softened", "correct", "total-variation", "none"]
SIMILARITY: Similarity = "cosine"
STABILITY: Stability = "softened"
"""Names of heatmap similarity and prediction stability, as in `score`."""
ATTACK: Mapping[str, Any] = {
    **{"attack": "swap", "method": "input-x-gradient"},
    **{"mask": "quantile", "mask_level": 0.7, "mask_smooth": 0.047},
}
"""Options of `perturb` in `evaluate`; the others have their defaults.

The background of another image tells how far a prediction rests on its own; an attack, of any
radius, tells how near the decision is (docs/validity.md). The mask has the resolution of the pixels
and exists for every differentiable network.
"""
EXPLANATION_ATTACK: Mapping[str, Any] = {
    **{"eps": 2 / 255, "steps": 5, "mask": "quantile", "mask_level": 0.5},
    **{"attack": "explanation", "restarts": 3},
}
"""Options of the attack on the explanation in `evaluate`."""
MEANING = {
    "cosine": "cosine of both heatmaps",
    "pearson": "Pearson correlation of both heatmaps",
    "ssim": "SSIM of both heatmaps",
    "top-iou": "overlap of the largest values of both heatmaps",
    "probability": "probability of the true class for the perturbed image",
    "softened": "probability of the true class for the perturbed image at temperature 2",
    "correct": "1 if both predictions are correct",
    "total-variation": "1 minus the total variation distance of both predictions",
    "none": "1",
}
"""Definition of each similarity and stability in few words."""


def measure_key() -> dict[str, str]:
    """Return the similarity and the stability for keys; empty for those of earlier versions."""
    if (SIMILARITY, STABILITY) == ("cosine", "probability"):
        return {}
    return {"similarity": SIMILARITY, "stability": STABILITY}
