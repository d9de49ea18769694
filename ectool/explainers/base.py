"""What every explainer takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

Targets = Int[Tensor, "n"] | Int[Tensor, "n k"] | None
"""One class to explain of each image, several with -1 for none, or the predicted one."""


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of a batch, with the logits of the forward pass they come from.

    Attributes:
        heatmaps: Non-negative, on the raw scale of the method, at the target layer's resolution;
            one for each target.
        logits: What the model answered.
    """

    heatmaps: Float[Tensor, "n h w"] | Float[Tensor, "n k h w"]
    logits: Float[Tensor, "n c"]


class Explainer(Protocol):
    """Explain images, one class or several each, for the model it was made for."""

    def __call__(self, images: Float[Tensor, "n 3 h w"], targets: Targets = None) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1].
            targets: The class to explain of each image, or k of them; -1 stands for none, and its
                heatmap is zero. Default: the predicted one.

        Returns:
            Heatmaps and logits, without an autograd graph.
        """
        ...
