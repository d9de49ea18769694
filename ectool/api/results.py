"""Results of the functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of some images, on the device of the model.

    Attributes:
        heatmaps: Non-negative, on the raw scale; one per image, or one for each of its targets.
        targets: The explained class of each heatmap.
        logits: Logits of the images.
    """

    heatmaps: Float[Tensor, "n *k h w"]
    targets: Int[Tensor, "n *k"]
    logits: Float[Tensor, "n c"]


@dataclass(frozen=True)
class Samples:
    """Perturbed images, on the device of the model.

    Attributes:
        images: Perturbed images, 0 to 255.
        background: True where pixels were allowed to change.
        logits_clean: Logits of the images as they were given.
        logits_adversarial: Logits of the perturbed images.
        sample_ids: Id of each image.
        eps: Radius of the attack in pixel units; NaN for attacks without one.
    """

    images: UInt8[Tensor, "n 3 h w"]
    background: Bool[Tensor, "n h w"]
    logits_clean: Float[Tensor, "n c"]
    logits_adversarial: Float[Tensor, "n c"]
    sample_ids: list[str]
    eps: float

    @property
    def pixels(self) -> Float[Tensor, "n 3 h w"]:
        """Return the perturbed images as floats in [0, 1]."""
        return self.images.float() / 255


@dataclass(frozen=True)
class Consistency:
    """Explanation consistency of some images and its two factors, in [0, 1].

    Attributes:
        heatmap_similarity: Similarity of the heatmaps of the clean and the perturbed image; NaN
            where both are zero. Multi-label: (n, k), one for each present class, filled with NaN.
        prediction_stability: Stability of the prediction, in the same shape.
        explanation_consistency: Their product E; multi-label: its mean over the present classes.
        sample_ids: Id of each image.
    """

    heatmap_similarity: Float32[np.ndarray, "n *k"]
    prediction_stability: Float32[np.ndarray, "n *k"]
    explanation_consistency: Float32[np.ndarray, "n"]
    sample_ids: list[str]

    def __len__(self) -> int:
        return len(self.explanation_consistency)
