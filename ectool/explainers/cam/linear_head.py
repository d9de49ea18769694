"""Find out whether only averaging and one linear map follow the target layer."""

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
# The test runs far outside the range of real activations, on both sides of zero.
_PROBE_SCALE = 10.0
_PROBE_SEED = 0


class LinearHead:
    """The pooled linear head of a classifier, looked for when the first batch arrives.

    What it told holds for these weights: make a new one after training.

    Args:
        model: The classifier, left as found.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self._linear: nn.Linear | None = None
        self._is_tested = False

    def find(self, images: Float[Tensor, "n ch h w"]) -> nn.Linear | None:
        """Return the layer, or None where the head is of another kind.

        Args:
            images: Any images; their content plays no part.

        Cost: the first call that of :func:`pooled_linear_head`, later ones nothing.
        """
        if not self._is_tested:
            self._linear = pooled_linear_head(self.model, images[:1])
            self._is_tested = True
        return self._linear


def pooled_linear_head(model: Classifier, image: Float[Tensor, "1 ch h w"]) -> nn.Linear | None:
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
