"""Cut a model at its target layer: the trunk runs without a graph, only the head has one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ectool.models.classifier import Classifier
from ectool.models.modes import forward_hooks, frozen, graph_free


@dataclass(frozen=True)
class HeadPass:
    """What one pass through a model cut at its target layer leaves behind; none has a graph.

    Attributes:
        activations: Output of the target layer as a grid, without a class token.
        gradients: Gradient of each image's own target logit with respect to them.
        logits: What the model answered.
    """

    activations: Float[Tensor, "n c h w"]
    gradients: Float[Tensor, "n c h w"]
    logits: Float[Tensor, "n classes"]


def run_forward(
    model: Classifier, images: Float[Tensor, "n 3 h w"]
) -> tuple[Float[Tensor, "n c i j"], Float[Tensor, "n classes"]]:
    """Return the target layer's activations and the logits.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].

    Returns:
        Activations as a grid, which the head may have overwritten in place; and logits.

    Cost: one forward pass without a graph.
    """
    recorded: list[Tensor] = []

    def record(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            recorded.append(output)

    with graph_free(), frozen(model), forward_hooks([model.target_module], record):
        logits = model(images)
    (activations,) = recorded
    return model.target_layer.to_nchw(activations, _size(images)), logits


def run_head_backward(
    model: Classifier,
    images: Float[Tensor, "n 3 h w"],
    targets: Int[Tensor, "n"] | None = None,
    substitute: Callable[[Tensor], Tensor] = Tensor.detach,
) -> HeadPass:
    """Differentiate each image's target logit with respect to the target layer's activations.

    Args:
        model: The classifier, left as found.
        images: RGB in [0, 1].
        targets: A class for each image. Default: the predicted one.
        substitute: Maps the layer's output to what the head gets to see instead.

    Returns:
        Activations, gradients and logits.

    Cost: one forward pass, of which only the head has a graph, and one backward pass of the head.
    """
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        leaves.append(substitute(output.detach()).requires_grad_())
        torch.set_grad_enabled(True)
        # The head works on a copy: a leaf must not be changed in place, and must keep its values.
        return leaves[-1].clone()

    with graph_free(), frozen(model):
        with forward_hooks([model.target_module], cut):
            logits = model(images)
        (leaf,) = leaves
        chosen = logits.gather(1, choose_targets(logits, targets)[:, None])
        (gradients,) = torch.autograd.grad(chosen, leaf, torch.ones_like(chosen))
    to_nchw = model.target_layer.to_nchw
    size = _size(images)
    return HeadPass(to_nchw(leaf.detach(), size), to_nchw(gradients, size), logits.detach())


def choose_targets(
    logits: Float[Tensor, "n c"], targets: Int[Tensor, "n"] | None
) -> Int[Tensor, "n"]:
    """Return ``targets`` as indices, or the predicted classes where there are none."""
    return logits.argmax(1) if targets is None else targets.to(logits.device, torch.int64)


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
