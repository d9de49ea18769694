"""Grad-CAM without its last step: maps with negative evidence."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ectool.explainers.cam.gradient_cam import GradCAM


class SignedGradCAM(GradCAM):
    """Grad-CAM before the ReLU: ``heatmap = sum_c w_c A_c``.

    Its positive part is Grad-CAM. Negative values are evidence against the class. It is not a
    choice of ``--method``, whose heatmaps are never negative; ``ectool validity`` uses it.

    Args:
        model: The classifier.
    """

    def _draw(self, activations: Tensor, gradients: Tensor) -> Float[Tensor, "n h w"]:
        grid = activations.float()
        return self.rule.reduce(grid, self.rule.weigh(grid, gradients.float()))
