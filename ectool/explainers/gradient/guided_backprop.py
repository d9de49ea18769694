"""Guided backpropagation: a gradient that passes only positive values through ReLUs."""

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
    except that ``R_in = R_out * (R_out > 0) * (input > 0)`` at each ReLU. The paper does not define
    other activations (ReLU6, SiLU, GELU, Hardswish, a clamp at 0); they keep their derivative.

    ReLUs are intercepted at the torch function, as a module or a function, in place or not; the
    modules of the network are not changed. ReLUs in TorchScript programs cannot be intercepted.

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
            InputError: The network has no ReLU, or is not differentiable.

        Cost: one forward pass, and one backward pass per column with a target.
        """
        return explain_by_gradient(self.model, images, targets, max_magnitude, run_guided)


def run_guided(
    model: Classifier, images: Float[Tensor, "n ch h w"]
) -> tuple[Float[Tensor, "n ch h w"], Float[Tensor, "n c"]]:
    """Run the model as `run_with_graph` does, with a guided gradient in every ReLU.

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
            got="no ReLU outside of TorchScript",
            fix="choose another method, such as smoothgrad",
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
