"""FullGrad: contributions of the input and of every bias to a logit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ectool.errors import InputError
from ectool.explainers.base import Explanation, Targets
from ectool.explainers.gradient.interception import Interception, Notes, scale_and_shift
from ectool.explainers.gradients import explain_each, run_with_graph, target_gradient
from ectool.models.classifier import Classifier
from ectool.models.interpolation import upsample
from ectool.models.modes import frozen, graph_free

Visit = Callable[[Tensor], object]


class FullGrad:
    """FullGrad (Srinivas & Fleuret 2019, arXiv 1905.00780) at the pixels.

    ``heatmap = sum_l spread(sum_c |piece_lc|)`` over the pieces of ``full_gradient``: of the input,
    and of every convolution and batch normalisation. As in the paper, biases of linear layers are
    omitted, because they have no position.

    Deviation: the paper scales the map of every layer to [0, 1] and interpolates it. Here the raw
    scale is kept, and ``spread`` interpolates bilinearly and divides by the number of pixels per
    cell, so that the sum of a map equals the sum of the contributions at any resolution.

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
            InputError: The network is not differentiable, or its layers are hidden (TorchScript).

        Cost: one forward pass, and one forward and one backward pass per column with a target.
        Memory: that of one pass and one map per resolution.
        """
        return explain_each(self.model, images, targets, self._draw)

    def _draw(self, images: Tensor, classes: Tensor) -> Tensor:
        maps: dict[tuple[int, ...], Tensor] = {}

        def add(piece: Tensor) -> None:
            if piece.ndim == 4:
                drawn = piece.abs().sum(1)
                size = tuple(drawn.shape[1:])
                maps[size] = maps[size] + drawn if size in maps else drawn

        add(full_gradient(self.model, images, classes, add))
        height, width = images.shape[2:]
        return torch.stack([_spread(drawn, (height, width)) for drawn in maps.values()]).sum(0)


def full_gradient(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    classes: Int[Tensor, "n"],
    visit: Visit,
) -> Float32[Tensor, "n ch h w"]:
    """Decompose the logit of each image into signed pieces of the input and of every bias.

    ``f(x) = sum z * df/dz + sum_l sum b_l * df/db_l`` with z the normalised pixels and b_l the
    biases of convolutions, linear layers and batch normalisations (``bias - running_mean * weight /
    sqrt(running_var + eps)``), each at every position. The sum is exact (completeness) for networks
    of these layers, ReLUs, and average and maximum pooling; contributions of other activations and
    normalisations are omitted. The normalisation of the pixels needs no bias, because
    ``z * df/dz = (x - mean) * df/dx``.

    The bias of a convolution is added to that of the batch normalisation after it, so that the
    pieces are those of the network with folded batch normalisation. As for folding, the output of
    the convolution must have no other use.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        classes: One class per image.
        visit: Called with each piece of a bias in float32, from the last layer to the first:
            (n, c, h, w), or (n, features) for linear layers.

    Returns:
        The piece of the input.

    Raises:
        InputError: The network is not differentiable, or its layers are hidden (TorchScript).

    Cost: one forward pass and one backward pass.
    """
    biases = _Biases(visit)
    with graph_free(), frozen(model):
        with Interception(
            {
                "conv2d": biases.convolution,
                "linear": biases.linear,
                "batch_norm": biases.batch_norm,
            }
        ):
            leaf, logits = run_with_graph(model, images)
        if not biases.has_seen_layers:
            raise InputError(
                f"model {model.architecture}",
                expected="a network with visible layers, for FullGrad",
                got="no convolution or linear layer outside of TorchScript",
                fix="choose another method, such as integrated gradients",
            )
        gradients = target_gradient(logits, leaf, classes).float()
    return (images.float() - model.mean.float()) * gradients


class _Biases:
    """Hooks on the gradients at the outputs of layers with a bias."""

    def __init__(self, visit: Visit) -> None:
        self.has_seen_layers = False
        self._visit = visit
        self._convolved: Notes[tuple[Tensor, RemovableHandle]] = Notes()

    def convolution(
        self,
        func: Callable[..., Tensor],
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        *args: object,
        **kwargs: object,
    ) -> Tensor:
        self.has_seen_layers = True
        output = func(inputs, weight, bias, *args, **kwargs)
        if bias is not None and output.requires_grad:
            self._convolved[output] = bias, self._add_hook(output, bias[:, None, None])
        return output

    def linear(
        self,
        func: Callable[..., Tensor],
        inputs: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
    ) -> Tensor:
        self.has_seen_layers = True
        output = func(inputs, weight, bias)
        if bias is not None and output.requires_grad:
            self._add_hook(output, bias)
        return output

    def batch_norm(
        self, func: Callable[..., Tensor], inputs: Tensor, *args: object, **kwargs: object
    ) -> Tensor:
        output = func(inputs, *args, **kwargs)
        scale, shift = scale_and_shift(func, (inputs, *args), kwargs)
        if convolved := self._convolved.get(inputs):
            bias, handle = convolved
            handle.remove()
            shift = shift + bias * scale
        if output.requires_grad:
            self._add_hook(output, shift.view(-1, *[1] * (output.ndim - 2)))
        return output

    def _add_hook(self, output: Tensor, bias: Tensor) -> RemovableHandle:
        # Do not capture `self`, which references the outputs: the cycle would never be freed.
        visit, is_linear = self._visit, bias.ndim == 1 and output.ndim > 2

        def visit_piece(gradient: Tensor) -> None:
            piece = gradient.float() * bias.float()
            visit(piece.flatten(1) if is_linear else piece)

        return cast(RemovableHandle, cast(Any, output).register_hook(visit_piece))


def _spread(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Distribute the value of each cell over its pixels."""
    share = maps[0].numel() / (size[0] * size[1])
    return upsample(maps, size) * share
