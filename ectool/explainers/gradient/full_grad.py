"""FullGrad: the parts of the input and of every bias in a logit."""

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
    and of every convolution and batch normalisation; like the paper's maps, without the biases of
    linear layers, which have no place.

    Deviation: the paper scales the map of every layer to [0, 1] and interpolates it. Here the raw
    scale is kept, and ``spread`` interpolates bilinearly and divides by the number of pixels in a
    cell, so that the sum of a map is the sum of what the pieces contribute, whatever their size.

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
            InputError: The logits have no gradient, or the network shows no layers (TorchScript).

        Cost: one forward pass, and a forward and a backward pass for each column that holds any
        target. Memory: one map of each resolution beside one pass.
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
    """Decompose each image's logit into pieces of the input and of every bias, signed.

    ``f(x) = sum z * df/dz + sum_l sum b_l * df/db_l`` with z the normalised pixels and b_l the
    biases of convolutions, linear layers and batch normalisations (``bias - running_mean * weight /
    sqrt(running_var + eps)``), each at every position. The sum is exact (completeness) for networks
    of these, ReLUs, and average and maximum pooling; other activations and normalisations have a
    part of their own, which is left out. The normalisation of the pixels needs no bias, because
    ``z * df/dz = (x - mean) * df/dx``.

    The bias of a convolution counts with that of the batch normalisation that takes its output, so
    that the pieces are those of the network with the two folded into one. As for folding, that
    output is taken to go nowhere else.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        classes: A class for each image.
        visit: Is given each piece of a bias in float32 as soon as it is known, from the last layer
            to the first: (n, c, h, w), or (n, features) behind linear layers.

    Returns:
        The piece of the input.

    Raises:
        InputError: The logits have no gradient, or the network shows no layers (TorchScript).

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
                expected="a network whose layers can be seen, for FullGrad",
                got="none that could",
                fix="take another method, such as integrated gradients",
            )
        gradients = target_gradient(logits, leaf, classes).float()
    return (images.float() - model.mean.float()) * gradients


class _Biases:
    """Listen for the gradients at the outputs of layers that have a bias."""

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
            self._convolved[output] = bias, self._listen(output, bias[:, None, None])
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
            self._listen(output, bias)
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
            self._listen(output, shift.view(-1, *[1] * (output.ndim - 2)))
        return output

    def _listen(self, output: Tensor, bias: Tensor) -> RemovableHandle:
        # Not `self`, which holds the outputs: they would hold each other and never be freed.
        visit, is_linear = self._visit, bias.ndim == 1 and output.ndim > 2

        def hand_over(gradient: Tensor) -> None:
            piece = gradient.float() * bias.float()
            visit(piece.flatten(1) if is_linear else piece)

        return cast(RemovableHandle, cast(Any, output).register_hook(hand_over))


def _spread(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Distribute each cell over the pixels it covers."""
    share = maps[0].numel() / (size[0] * size[1])
    return upsample(maps, size) * share
