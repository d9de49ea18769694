"""Gradient-based class-activation maps; the cost is little more than a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from ectool.explainers.base import Explanation, Targets, choose_targets, repeat_for_targets
from ectool.explainers.cam.cam_rules import CAM_RULES, PEER_RULES, CamRule, principal
from ectool.explainers.cam.linear_head import LinearHead
from ectool.explainers.cut import open_head, run_forward
from ectool.explainers.gradients import draw_columns
from ectool.models.classifier import Classifier


class GradientCAM:
    """A class-activation map ``relu(reduce(A, weigh(A, G)))`` at a classifier's target layer.

    A are the layer's activations and G the gradient of the target logit with respect to A, both
    without class tokens. The methods of the family differ in the rule, see
    :data:`ectool.explainers.cam.cam_rules.CAM_RULES`. Deviation from common implementations: the
    map is neither scaled to [0, 1] nor upsampled.

    Only the layers after the target layer are differentiated. If these are average pooling and one
    linear layer (W, b), ``G_c = W[y,c] / (h w)`` needs no gradient. This is detected on the first
    batch with random activations, so the content of its images is irrelevant.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
        rule: Maps activations and gradients to a heatmap.
    """

    def __init__(self, model: Classifier, rule: CamRule) -> None:
        self.model = model
        self.rule = rule
        self.linear_head = LinearHead(model)

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps on the raw scale at the layer's resolution, and the logits.

        Cost: one forward pass for any k; unless the head is a pooled linear one, also one backward
        pass of the head per column with a target. The first batch costs one more image.
        """
        if not self.rule.uses_gradients:
            activations, logits = run_forward(self.model, images)
            maps = self._draw(activations, activations.new_zeros(1, 1, 1, 1))
            return Explanation(repeat_for_targets(maps, choose_targets(logits, targets)), logits)
        linear = self.linear_head.find(images)
        if linear is None:
            with open_head(self.model, images) as head:
                return self._each(head.activations, head.logits, targets, head.gradients)
        activations, logits = run_forward(self.model, images)
        weight = linear.weight.detach().float() / activations[0, 0].numel()

        def gradients(column: Tensor) -> Tensor:
            rows = weight[column.clamp(min=0)] * (column >= 0)[:, None]
            return rows[:, :, None, None]

        return self._each(activations, logits, targets, gradients)

    def _each(
        self,
        activations: Float[Tensor, "n c h w"],
        logits: Float[Tensor, "n classes"],
        targets: Targets,
        gradients: Callable[[Tensor], Tensor],
    ) -> Explanation:
        """Compute the map of every target, with one gradient per column."""
        classes = choose_targets(logits, targets)
        maps = draw_columns(lambda column: self._draw(activations, gradients(column)), classes)
        return Explanation(maps, logits)

    def _draw(self, activations: Tensor, gradients: Tensor) -> Float[Tensor, "n h w"]:
        grid = activations.float()
        return self.rule.reduce(grid, self.rule.weigh(grid, gradients.float())).relu()


class GradCAM(GradientCAM):
    """Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): :class:`GradientCAM` with its rule.

    ``heatmap = relu(sum_c w_c A_c)``, ``w_c = mean_ij d logits[y] / d A_c[i,j]``.

    Args:
        model: The classifier.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__(model, CAM_RULES["gradcam"])


def gradient_cam(
    method: str, model: Classifier, *, compat: bool = False, eigen: bool = False
) -> GradientCAM:
    """Make the explainer of a method of the family.

    Args:
        method: A name in :data:`CAM_RULES`.
        model: The classifier.
        compat: Use the rules of pytorch-grad-cam where they differ from the publication.
        eigen: Return the first principal component of the weighted activations instead of their
            sum, as ``eigen_smooth`` in pytorch-grad-cam.

    Returns:
        The explainer.
    """
    rule = (PEER_RULES if compat else CAM_RULES)[method]
    return GradientCAM(model, replace(rule, reduce=principal) if eigen else rule)
