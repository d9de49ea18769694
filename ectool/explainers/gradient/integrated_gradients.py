"""Integrated gradients: the mean gradient on the path from a black image to the image."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from ectool.explainers.base import Explanation, Targets
from ectool.explainers.gradient.reductions import positive_sum
from ectool.explainers.gradients import explain_each, pixel_gradient
from ectool.models.classifier import Classifier


class IntegratedGradients:
    """Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365) from a black image.

    ``heatmap = relu(sum_c attribution_c)``, ``attribution = x * sum_t w_t * f'(a_t * x)`` with f
    the target logit, x the pixels in [0, 1], and (a_t, w_t) the points and weights of
    Gauss-Legendre quadrature on [0, 1]. Summed over pixels and channels the attribution is
    ``f(x) - f(black)`` (completeness), up to the quadrature's error.

    The baseline is black, as in the paper's experiments, so black pixels have an attribution of 0,
    even on the object.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
        passes: Number of points on the path, at least 1.
    """

    def __init__(self, model: Classifier, *, passes: int = 50) -> None:
        self.model = model
        self.passes = passes

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the pixels, and the logits.

        Raises:
            InputError: The network is not differentiable.

        Cost: one forward pass, and ``passes`` forward and backward passes per column with a target.
        Memory: that of one pass and four copies of the batch, for any ``passes``.
        """

        def draw(rows: Tensor, classes: Tensor) -> Tensor:
            return positive_sum(integrated_gradients(self.model, rows, classes, passes=self.passes))

        return explain_each(self.model, images, targets, draw)


def integrated_gradients(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    classes: Int[Tensor, "n"],
    *,
    passes: int,
) -> Float32[Tensor, "n ch h w"]:
    """Return integrated gradients from a black image, signed and per channel.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        classes: One class per image; -1 means no class.
        passes: Number of points on the path, at least 1.

    Returns:
        The attribution, equal to that of captum's ``IntegratedGradients``.

    Cost: ``passes`` forward and backward passes.
    """
    pixels = images.float()
    mean_gradient = torch.zeros_like(pixels)
    nodes, weights = np.polynomial.legendre.leggauss(passes)  # on [-1, 1], where they sum to 2
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        point = pixels.mul((1 + node) / 2).to(images.dtype)
        mean_gradient.add_(pixel_gradient(model, point, classes), alpha=weight / 2)
    return mean_gradient.mul_(pixels)
