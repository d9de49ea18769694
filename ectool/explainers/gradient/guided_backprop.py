"""Guided backpropagation: a gradient that only follows what speaks for the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from ectool.errors import InputError
from ectool.explainers.base import Explanation, Targets
from ectool.explainers.gradient.interception import Interception, is_in_place
from ectool.explainers.gradient.reductions import max_magnitude
from ectool.explainers.gradients import explain_by_gradient, run_with_graph
from ectool.models.classifier import Classifier


class GuidedBackprop:
    """Guided backpropagation (Springenberg et al. 2015, arXiv 1412.6806) at the pixels.

    ``heatmap = max_c |R_c|`` with R the gradient of the target logit with respect to the pixels,
    but for ``R_in = R_out * (R_out > 0) * (input > 0)`` at each ReLU. Only ReLUs are guided; other
    activations (ReLU6, SiLU, GELU, Hardswish, a clamp at 0), which the paper does not define, keep
    their own derivative.

    ReLUs are caught where torch is called, as a module or a function, in place or not; the
    network's modules are not touched. TorchScript programs do not show theirs.

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
            InputError: The network has no ReLU, or its logits no gradient.

        Cost: one forward pass, and a backward pass for each column that holds any target.
        """
        return explain_by_gradient(self.model, images, targets, max_magnitude, run_guided)


def run_guided(
    model: Classifier, images: Float[Tensor, "n ch h w"]
) -> tuple[Float[Tensor, "n ch h w"], Float[Tensor, "n c"]]:
    """Return the pixels and the logits with a graph between them in which ReLUs are guided.

    Args:
        model: The classifier, frozen by the caller.
        images: RGB in [0, 1].

    Returns:
        A copy of the images as a leaf, and the logits.

    Raises:
        InputError: The network has no ReLU.

    Cost: one forward pass.
    """
    guided: list[Tensor] = []

    def relu(func: Callable[..., object], inputs: Tensor, inplace: bool = False) -> Tensor:
        guided[:] = [cast(Any, _GuidedReLU).apply(inputs)]
        return inputs.copy_(guided[0]) if is_in_place(func, inplace) else guided[0]

    with Interception({"relu": relu, "relu_": relu}):
        leaf, logits = run_with_graph(model, images)
    if not guided:
        raise InputError(
            f"model {model.architecture}",
            expected="a network with ReLUs, for guided backpropagation",
            got="none that could be seen",
            fix="take another method, such as smoothgrad",
        )
    return leaf, logits


class _GuidedReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: BackwardCFunction, inputs: Tensor) -> Tensor:
        output = inputs.relu()
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx: BackwardCFunction, *relevance: Tensor) -> Tensor:
        (output,) = ctx.saved_tensors
        return relevance[0].relu() * (output > 0)
