"""Detect whether only average pooling and one linear layer follow the target layer."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.explainers.cut import HeadPass, run_head_backward
from ectool.explainers.gradients import NoGradientError
from ectool.models.classifier import Classifier

# Bounds of the numerical test for a pooled linear head, in units of the arithmetic's epsilon.
_GRADIENT_ULPS = 8
_LOGIT_ULPS = 32
# The test uses activations far outside their real range, of both signs.
_PROBE_SCALE = 10.0
_PROBE_SEED = 0


class LinearHead:
    """The pooled linear head of a classifier, detected on the first batch.

    The result is valid for the current weights: create a new object after training.

    Args:
        model: The classifier; its state is restored.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._linear: nn.Linear | None = None
        self._is_tested = False

    def find(self, images: Float[Tensor, "n ch h w"]) -> nn.Linear | None:
        """Return the linear layer, or None for another kind of head.

        Args:
            images: Any images; their content is irrelevant.

        Cost: that of :func:`pooled_linear_head` in the first call, none later.
        """
        if not self._is_tested:
            self._linear = pooled_linear_head(self.model, images[:1])
            self._is_tested = True
        return self._linear


def pooled_linear_head(model: Classifier, image: Float[Tensor, "1 ch h w"]) -> nn.Linear | None:
    """Find the linear layer that, after average pooling, is all that follows the target layer.

    A layer (W, b) matches if for random activations A, large and of both signs, every gradient is
    ``W[y,k] / (h w)`` and the logits are ``W mean_{i,j} A + b``, up to rounding.

    Args:
        model: The classifier; its state is restored.
        image: Any image; its content affects only the scale of A.

    Returns:
        The layer, or None for another kind of head.

    Cost: one forward pass of one image, and the backward pass of the head.
    """
    generator = torch.Generator().manual_seed(_PROBE_SEED)

    def randomize(activations: Tensor) -> Tensor:
        noise = torch.randn(activations.shape, generator=generator).to(activations)
        return noise * (_PROBE_SCALE * (1 + activations.abs().amax()))

    try:
        head = run_head_backward(model, image, substitute=randomize)
    except NoGradientError:
        return None
    shape = (head.logits.shape[1], head.activations.shape[1])
    for module in model.network.modules():
        if not isinstance(module, nn.Linear) or module.weight.shape != shape:
            continue
        if _explains_gradients(module, head) and _explains_logits(module, head):
            return module
    return None


def _explains_gradients(linear: nn.Linear, head: HeadPass) -> bool:
    row = linear.weight.detach()[head.logits.argmax(1)].float()
    expected = row[:, :, None, None] / head.activations[0, 0].numel()
    error = (head.gradients.float() - expected).abs()
    # A head with zero weights cannot be tested.
    return bool(row.any() and (error <= _GRADIENT_ULPS * _epsilon(head) * expected.abs()).all())


def _explains_logits(linear: nn.Linear, head: HeadPass) -> bool:
    weight = linear.weight.detach().float()
    bias = torch.zeros_like(weight[:, 0]) if linear.bias is None else linear.bias.detach().float()
    activations = head.activations.float()
    error = (head.logits - activations.mean((2, 3)) @ weight.T - bias).abs()
    # Rounding errors grow with the terms of the sum, not with the sum.
    terms = activations.abs().mean((2, 3)) @ weight.abs().T + bias.abs()
    return bool((error <= _LOGIT_ULPS * _epsilon(head) * terms).all())


def _epsilon(head: HeadPass) -> float:
    tensors = (head.activations, head.gradients, head.logits)
    return max(torch.finfo(tensor.dtype).eps for tensor in tensors)
