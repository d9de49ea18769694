"""The gradient at the pixels, and what it says of the pixels' own part in a logit."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ectool.explainers.base import Explanation, Targets
from ectool.explainers.gradient.reductions import positive_sum
from ectool.explainers.gradients import explain_by_gradient
from ectool.models.classifier import Classifier


class InputXGradient:
    """Input x gradient (Shrikumar et al. 2016, arXiv 1605.01713) at the pixels.

    ``heatmap = relu(sum_c x_c * d logits[y] / d x_c)`` with x the pixels in [0, 1]: the first-order
    share of each pixel in the logit's difference to a black image. Deviation: x are the pixels,
    not what the network sees after normalising them. Black pixels get nothing, whatever they mean.

    Args:
        model: The classifier. Each call leaves its modes, gradients and hooks as found.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; what it takes is in :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the pixels, and the logits.

        Raises:
            InputError: The logits have no gradient.

        Cost: one forward pass, and a backward pass for each column that holds any target.
        """

        def reduce(gradients: Tensor) -> Tensor:
            return positive_sum(images.float() * gradients.float())

        return explain_by_gradient(self.model, images, targets, reduce)
