"""Excitation backpropagation: winning probabilities of neurons for a class."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction

from ectool.errors import InputError
from ectool.explainers.base import Explanation, Targets, choose_targets
from ectool.explainers.cut import open_head
from ectool.explainers.gradient.interception import (
    Interception,
    Notes,
    StandIn,
    is_in_place,
    scale_and_shift,
)
from ectool.explainers.gradients import draw_columns
from ectool.models.classifier import Classifier

Map = Callable[..., Tensor]
Factor = Tensor | float | int

_POOLINGS = ("avg_pool2d", "adaptive_avg_pool2d", "mean", "sum")
_ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "hardtanh", "elu", "selu", "silu", "gelu", "mish"),
    *("hardswish", "hardsigmoid", "sigmoid", "tanh", "softplus"),
)
# Steps whose derivative passes each probability unchanged to one neuron.
_ROUTES = frozenset(
    {
        *("AccumulateGrad", "Alias", "Amax", "Cat", "Clone", "ConstantPadNd", "CopyBackwards"),
        *("CopySlices", "Index", "Max", "MaxPool2DWithIndices", "AdaptiveMaxPool2D", "Permute"),
        *("ReshapeAlias", "Select", "Slice", "Split", "SplitWithSizes", "Squeeze", "Stack", "T"),
        *("ToCopy", "Transpose", "Unbind", "UnsafeView", "Unsqueeze", "View", "_Share", "_Pass"),
    }
)


class ExcitationBackprop:
    """Excitation backpropagation (Zhang et al. 2016, arXiv 1608.00507) at the target layer.

    ``heatmap = sum_c P(a_c)`` with P the marginal winning probability, 1 at the target logit and
    ``P(a_j) = sum_i P(a_i) * a_j * w_ij^+ / sum_k a_k * w_ik^+`` in the layers below. Non-negative;
    the map sums to 1 if every neuron on the path has an excited input, and to less otherwise.

    - convolution, linear layer: as above, without the bias; negative activations count as 0
    - average pooling, mean, sum: linear with equal weights; a sum of two activations, as in a
      residual block, is divided in proportion to them
    - maximum pooling: to the maximum
    - activation (ReLU, SiLU, ...): passed unchanged
    - batch normalisation: passed unchanged; after a convolution, the signs of its scale multiply
      the weights w, so that the result is that of the network with folded batch normalisation
    - product with a number or a smaller tensor, as in squeeze and excitation: the smaller one is a
      weight, and its branch gets no probability

    Deviation: the paper defines only convolutions, linear layers, pooling and ReLUs. Attention and
    layer normalisation are rejected.

    Args:
        model: The classifier; each call restores its modes, gradients and hooks.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch; the arguments are those of :class:`~ectool.explainers.base.Explainer`.

        Returns:
            float32 heatmaps of probabilities at the layer's resolution, and the logits.

        Raises:
            InputError: A step after the target layer has no rule.

        Cost: one forward pass, and one forward and one backward pass of the head per column of
        targets. Memory: a copy of the activations after the target layer.
        """
        with ExitStack() as stack:
            # Only during the forward pass, because the rules call the original functions.
            with Interception(_Rules().stand_ins()):
                head = stack.enter_context(open_head(self.model, images))
            _check_steps(head.logits_with_graph, self.model.architecture)

            def draw(column: Tensor) -> Tensor:
                return head.gradients(column).float().sum(1)

            classes = choose_targets(head.logits, targets)
            return Explanation(draw_columns(draw, classes), head.logits)


class _Rules:
    """Functions with the outputs of torch's, whose backward pass propagates probabilities."""

    def __init__(self) -> None:
        # Signs of the channels, from batch normalisations after a convolution.
        self._signs: Notes[list[Tensor]] = Notes()

    def stand_ins(self) -> dict[str, StandIn]:
        activations = [name + suffix for name in _ACTIVATIONS for suffix in ("", "_")]
        return {
            **dict.fromkeys(_POOLINGS, _pool),
            **dict.fromkeys(activations, _activation),
            **dict.fromkeys(("add", "add_"), _add),
            **dict.fromkeys(("mul", "mul_"), _multiply),
            "linear": _linear,
            "conv2d": self.convolution,
            "batch_norm": self.batch_norm,
        }

    def convolution(
        self,
        func: Map,
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *args: object,
        **kwargs: object,
    ) -> Tensor:
        signs: list[Tensor] = []

        def excite(activations: Tensor) -> Tensor:
            signed = weight.float()
            for sign in signs:
                signed = signed * sign[:, None, None, None]
            return func(activations, signed.relu(), None, *args, **kwargs)

        output = _share(lambda x: func(x, weight, bias, *args, **kwargs), excite, inputs)
        self._signs[output] = signs
        return output

    def batch_norm(self, func: Map, inputs: Tensor, *args: object, **kwargs: object) -> Tensor:
        signs = self._signs.get(inputs)
        if signs is not None:
            scale, _ = scale_and_shift(func, (inputs, *args), kwargs)
            signs.append(scale.sign())
        return _pass(lambda x: func(x, *args, **kwargs), inputs)


def _linear(func: Map, inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    def excite(activations: Tensor) -> Tensor:
        return func(activations, weight.float().relu(), None)

    return _share(lambda x: func(x, weight, bias), excite, inputs)


def _pool(func: Map, inputs: Tensor, *args: object, **kwargs: object) -> Tensor:
    def pool(x: Tensor) -> Tensor:
        return func(x, *args, **kwargs)

    return _share(pool, pool, inputs)


def _activation(func: Map, inputs: Tensor, *args: object, **kwargs: object) -> Tensor:
    # A copy, because an in-place function would overwrite its input inside autograd.
    output = _pass(lambda x: func(x.clone(), *args, **kwargs), inputs)
    return inputs.copy_(output) if is_in_place(func, bool(kwargs.get("inplace"))) else output


def _add(func: Map, left: Tensor, right: Factor, **kwargs: object) -> Tensor:
    if kwargs:  # `alpha`, which has no rule
        return func(left, right, **kwargs)
    whole, part = _larger_first(left, right)
    if _is_activation(part, whole):
        output = _share(torch.add, torch.add, whole, part)
    else:
        output = _pass(lambda x: x + part, whole)
    return left.copy_(output) if is_in_place(func) else output


def _multiply(func: Map, left: Tensor, right: Factor) -> Tensor:
    whole, part = _larger_first(left, right)
    if isinstance(part, Tensor):
        if part.shape == whole.shape:  # ambiguous: either could be the weight
            return func(left, right)
        part = part.detach()
        weight: Factor = part.float().relu()
    else:
        weight = max(part, 0)
    output = _share(lambda x: x * part, lambda activations: activations * weight, whole)
    return left.copy_(output) if is_in_place(func) else output


def _larger_first(left: Tensor, right: Factor) -> tuple[Tensor, Factor]:
    if isinstance(right, Tensor) and right.numel() > left.numel():
        return right, left
    return left, right


def _is_activation(part: Factor, whole: Tensor) -> bool:
    """Return whether ``part`` holds activations, also of layers before the target layer."""
    if not isinstance(part, Tensor):
        return False
    return part.requires_grad or (part.shape == whole.shape and not isinstance(part, nn.Parameter))


def _share(function: Map, excite: Map, *inputs: Factor) -> Tensor:
    return cast(Tensor, cast(Any, _Share).apply(function, excite, *inputs))


def _pass(function: Map, inputs: Tensor) -> Tensor:
    return cast(Tensor, cast(Any, _Pass).apply(function, inputs))


class _Share(torch.autograd.Function):
    """Distribute ``P_in = a * d sum(P_out * excite / excite(a)) / d a`` with a = relu(input).

    ``excite`` is linear with non-negative weights: its derivative distributes the probability, and
    its value is the normaliser.
    """

    @staticmethod
    def forward(ctx: BackwardCFunction, function: Map, excite: Map, *inputs: Tensor) -> Tensor:
        cast(Any, ctx).excite = excite
        # Copies, because the network may overwrite its activations later.
        ctx.save_for_backward(*(x.relu() for x in inputs))
        return function(*inputs)

    @staticmethod
    def backward(ctx: BackwardCFunction, *probabilities: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            activations = [a.detach().float().requires_grad_() for a in ctx.saved_tensors]
            excited: Tensor = cast(Any, ctx).excite(*activations)
        wins = excited > torch.finfo(excited.dtype).tiny
        shares = (probabilities[0].float() / excited.detach()).where(wins, 0)
        slopes = torch.autograd.grad(excited, activations, shares)
        return None, None, *(a.detach() * s for a, s in zip(activations, slopes, strict=True))


class _Pass(torch.autograd.Function):
    """Pass probabilities unchanged."""

    @staticmethod
    def forward(_ctx: BackwardCFunction, function: Map, inputs: Tensor) -> Tensor:
        return function(inputs)

    @staticmethod
    def backward(_ctx: BackwardCFunction, *probabilities: Tensor) -> tuple[None, Tensor]:
        return None, probabilities[0]


def _check_steps(logits: Tensor, architecture: str) -> None:
    """Raise if a step of the graph neither has a rule nor only moves values."""
    seen, waiting = set(), [logits.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        step = re.sub(r"^torch::autograd::|Backward\d*$", "", node.name())
        if step not in _ROUTES:
            raise InputError(
                f"model {architecture}",
                expected="convolutions, poolings, activations and sums after the target layer, "
                "for excitation backpropagation",
                got=step,
                fix="choose a later layer or another method",
            )
        waiting += [following for following, _ in node.next_functions]
