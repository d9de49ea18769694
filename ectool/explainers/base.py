"""What every explainer takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of a batch, with the logits of the forward pass they come from.

    Attributes:
        heatmaps: Non-negative, on the raw scale of the method, at the target layer's resolution.
        logits: What the model answered.
    """

    heatmaps: Float[Tensor, "n h w"]
    logits: Float[Tensor, "n c"]


class Explainer(Protocol):
    """Explain images, one class each, for the model it was made for."""

    def __call__(
        self, images: Float[Tensor, "n 3 h w"], targets: Int[Tensor, "n"] | None = None
    ) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1].
            targets: The class to explain of each image. Default: the predicted one.

        Returns:
            Heatmaps and logits, without an autograd graph.
        """
        ...
