"""Integrated gradients: the gradient along the way from black to the image."""

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

    The baseline is black, as in the paper's experiments. Black pixels therefore get nothing, even
    where they are the object.

    Args:
        model: The classifier. Each call leaves its modes, gradients and hooks as found.
        passes: Points on the path, at least 1.
    """

    def __init__(self, model: Classifier, *, passes: int = 50) -> None:
        self.model = model
        self.passes = passes

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; what it takes is in :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the pixels, and the logits.

        Raises:
            InputError: The logits have no gradient.

        Cost: one forward pass, and ``passes`` forward and backward passes for each column that
        holds any target. Memory: four copies of the batch beside one pass, whatever ``passes`` is.
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
    """Return integrated gradients from a black image, signed and for each channel.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        classes: A class for each image; -1 stands for none.
        passes: Points on the path, at least 1.

    Returns:
        The attribution, as captum's ``IntegratedGradients`` gives it for the same classifier.

    Cost: ``passes`` forward and backward passes.
    """
    pixels = images.float()
    mean_gradient = torch.zeros_like(pixels)
    nodes, weights = np.polynomial.legendre.leggauss(passes)  # on [-1, 1], where they sum to 2
    for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
        point = pixels.mul((1 + node) / 2).to(images.dtype)
        mean_gradient.add_(pixel_gradient(model, point, classes), alpha=weight / 2)
    return mean_gradient.mul_(pixels)
