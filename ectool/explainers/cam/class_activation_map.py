"""CAM, the original class-activation map."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ectool.errors import InputError
from ectool.explainers.base import Explanation, Targets
from ectool.explainers.cam.cam_rules import CAM_RULES
from ectool.explainers.cam.gradient_cam import GradientCAM
from ectool.models.classifier import Classifier


class ClassActivationMap(GradientCAM):
    """CAM (Zhou et al. 2016, arXiv 1512.04150): the linear head applied at every position.

    ``heatmap = relu(sum_c W[y,c] A_c)``, which is h w times Grad-CAM. Deviation: the paper
    keeps negative evidence; here the map is cut at zero like all others.

    Args:
        model: A classifier in which average pooling and one linear layer (W, b) follow the target
            layer.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__(model, CAM_RULES["gradcam"])

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch, see :class:`GradientCAM`.

        Raises:
            InputError: Other layers follow the target layer.

        Cost: one forward pass. The first batch costs one more image.
        """
        if self.linear_head.find(images) is None:
            raise InputError(
                f"cam at {self.model.target_layer.name}",
                expected="average pooling and one linear layer after it",
                got=f"another head of {self.model.architecture}",
                fix="choose --method gradcam or hirescam, or the last layer before the pooling",
            )
        explanation = super().__call__(images, targets)
        positions = explanation.heatmaps.shape[-2:].numel()
        return Explanation(explanation.heatmaps * positions, explanation.logits)
