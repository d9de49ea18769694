"""Grad-CAM, at the cost of little more than a forward pass."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ectool.explainers.base import Explanation, Targets
from ectool.explainers.cut import (
    HeadPass,
    OpenHead,
    choose_targets,
    open_head,
    run_forward,
    run_head_backward,
)
from ectool.models.classifier import Classifier

# Bounds of the numerical test for a pooled linear head, in units of the arithmetic's epsilon.
_GRADIENT_ULPS = 8
_LOGIT_ULPS = 32
# The test runs far outside the range of real activations, on both sides of zero.
_PROBE_SCALE = 10.0
_PROBE_SEED = 0


class GradCAM:
    """Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) at a classifier's target layer.

    ``heatmap = relu(sum_k alpha_k A_k)``, ``alpha_k = mean_{i,j} d logits[y] / d A_k[i,j]``, with A
    the layer's activations; a class token takes part in neither mean nor map. Deviation from the
    usual implementations: the map is neither scaled to [0, 1] nor upsampled.

    Only what follows the target layer is differentiated. Where that is averaging over the
    positions and one linear map, ``alpha_k = W[y,k] / (h w)`` needs no gradient at all. The first
    batch tells, by what the head makes of random activations, so it does not matter which images
    come first. What it told holds for these weights: make a new explainer after training.

    Args:
        model: The classifier. Each call leaves its modes, gradients and hooks as found.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._linear: nn.Linear | None = None
        self._is_tested = False

    def __call__(self, images: Float[Tensor, "n 3 h w"], targets: Targets = None) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1], on the model's device and of its type.
            targets: The class to explain of each image, or k of them; -1 stands for none, and its
                heatmap is zero. Default: the predicted one.

        Returns:
            float32 heatmaps on the raw scale at the layer's resolution, and the logits.

        Cost: one forward pass, whatever k is; behind other heads than a pooled linear one also a
        backward pass of the head for each column of targets that holds any. The first batch costs
        one image more.
        """
        if not self._is_tested:
            self._linear = pooled_linear_head(self.model, images[:1])
            self._is_tested = True
        if self._linear is None:
            with open_head(self.model, images) as head:
                classes, logits = choose_targets(head.logits, targets), head.logits
                heatmaps = weighted_map(_mean_gradients(head, classes), head.activations)
        else:
            activations, logits = run_forward(self.model, images)
            classes = choose_targets(logits, targets)
            weight = self._linear.weight.detach()[classes.clamp(min=0)]
            heatmaps = weighted_map(weight.float() / activations[0, 0].numel(), activations)
        return Explanation(heatmaps.masked_fill_(classes[..., None, None] < 0, 0), logits)


def weighted_map(
    alpha: Float[Tensor, "n *k c"], activations: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n *k h w"]:
    """Return ``relu(sum_k alpha_k A_k)`` in float32.

    Args:
        alpha: Weight of each channel, for one map or several of the same activations.
        activations: Of any floating type.

    Returns:
        Non-negative heatmaps.
    """
    return torch.einsum("n...c,nchw->n...hw", alpha.float(), activations.float()).relu()


def pooled_linear_head(model: Classifier, image: Float[Tensor, "1 3 h w"]) -> nn.Linear | None:
    """Find the linear layer that is all there is, but for averaging, behind the target layer.

    True of a layer (W, b) if for random activations A, far out on both sides of zero, every
    gradient is ``W[y,k] / (h w)`` and the logits are ``W mean_{i,j} A + b``, up to rounding.

    Args:
        model: The classifier, left as found.
        image: Any image; its content plays no part beyond the scale of A.

    Returns:
        The layer, or None if the head is of another kind.

    Cost: one forward pass of one image, and the backward pass of the head.
    """
    generator = torch.Generator().manual_seed(_PROBE_SEED)

    def randomize(activations: Tensor) -> Tensor:
        noise = torch.randn(activations.shape, generator=generator).to(activations)
        return noise * (_PROBE_SCALE * (1 + activations.abs().amax()))

    head = run_head_backward(model, image, substitute=randomize)
    shape = (head.logits.shape[1], head.activations.shape[1])
    for module in model.network.modules():
        if not isinstance(module, nn.Linear) or module.weight.shape != shape:
            continue
        if _explains_gradients(module, head) and _explains_logits(module, head):
            return module
    return None


def _mean_gradients(head: OpenHead, classes: Int[Tensor, "n *k"]) -> Float[Tensor, "n *k channels"]:
    """Average the gradient over the positions, with one backward pass a column that is in use."""
    if classes.ndim == 1:
        return head.gradients(classes).float().mean((2, 3))
    channels = head.activations.shape[1]
    alpha = torch.zeros(*classes.shape, channels, device=classes.device)
    for column in (classes >= 0).any(0).nonzero()[:, 0].tolist():
        alpha[:, column] = _mean_gradients(head, classes[:, column])
    return alpha


def _explains_gradients(linear: nn.Linear, head: HeadPass) -> bool:
    row = linear.weight.detach()[head.logits.argmax(1)].float()
    expected = row[:, :, None, None] / head.activations[0, 0].numel()
    error = (head.gradients.float() - expected).abs()
    # A head still at its zero initialisation tells nothing.
    return bool(row.any() and (error <= _GRADIENT_ULPS * _epsilon(head) * expected.abs()).all())


def _explains_logits(linear: nn.Linear, head: HeadPass) -> bool:
    weight = linear.weight.detach().float()
    bias = torch.zeros_like(weight[:, 0]) if linear.bias is None else linear.bias.detach().float()
    activations = head.activations.float()
    error = (head.logits - activations.mean((2, 3)) @ weight.T - bias).abs()
    # What rounding can do grows with the sum's terms, not with the sum.
    terms = activations.abs().mean((2, 3)) @ weight.abs().T + bias.abs()
    return bool((error <= _LOGIT_ULPS * _epsilon(head) * terms).all())


def _epsilon(head: HeadPass) -> float:
    tensors = (head.activations, head.gradients, head.logits)
    return max(torch.finfo(tensor.dtype).eps for tensor in tensors)
