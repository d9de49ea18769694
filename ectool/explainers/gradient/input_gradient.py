"""Input x gradient: first-order contributions of the pixels to a logit."""

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
    contribution of each pixel to the difference between the logits of the image and of a black
    image. Deviation: x are the pixels, not the normalised input of the network. Black pixels have
    an attribution of 0, even on the object.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the pixels, and the logits.

        Raises:
            InputError: The network is not differentiable.

        Cost: one forward pass, and one backward pass per column with a target.
        """

        def reduce(gradients: Tensor) -> Tensor:
            return positive_sum(images.float() * gradients.float())

        return explain_by_gradient(self.model, images, targets, reduce)
