"""Run a model cut at its target layer: only the head has an autograd graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.explainers.base import choose_targets
from ectool.explainers.gradients import target_gradient
from ectool.models.classifier import Classifier
from ectool.models.layers.target_layer import TargetLayer
from ectool.models.modes import forward_hooks, frozen, graph_free


@dataclass(frozen=True)
class HeadPass:
    """Result of one pass through a model cut at its target layer, without graphs.

    Attributes:
        activations: Output of the target layer as a grid, without class tokens.
        gradients: Gradient of each image's target logit with respect to the activations.
        logits: Logits of the model.
    """

    activations: Float[Tensor, "n c h w"]
    gradients: Float[Tensor, "n c h w"]
    logits: Float[Tensor, "n classes"]


@dataclass(frozen=True)
class OpenHead:
    """A model cut at its target layer after one forward pass, with the graph of its head.

    Attributes:
        layer: The target layer.
        image_size: (height, width) of the images in pixels.
        output: Input of the head: output of the target layer, in the layer's own layout.
        logits_with_graph: Logits, with a graph that ends at the output.
    """

    layer: TargetLayer
    image_size: tuple[int, int]
    output: Float[Tensor, "n ..."]
    logits_with_graph: Float[Tensor, "n classes"]

    @property
    def activations(self) -> Float[Tensor, "n c h w"]:
        """Return the output as a grid, without class tokens and without a graph."""
        return self.layer.to_nchw(self.output.detach(), self.image_size)

    @property
    def logits(self) -> Float[Tensor, "n classes"]:
        """Return the logits without a graph."""
        return self.logits_with_graph.detach()

    def gradients(self, targets: Int[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
        """Differentiate each image's target logit with respect to the activations.

        Args:
            targets: One class per image, on the device of the logits; -1 means no class.

        Returns:
            Gradients as a grid; 0 for an image without a target.

        Raises:
            InputError: The head is not differentiable.

        Cost: one backward pass of the head; none if no image has a target.
        """
        gradients = target_gradient(self.logits_with_graph, self.output, targets, retain_graph=True)
        return self.layer.to_nchw(gradients, self.image_size)


def run_forward(
    model: Classifier, images: Float[Tensor, "n ch h w"]
) -> tuple[Float[Tensor, "n c i j"], Float[Tensor, "n classes"]]:
    """Return the activations of the target layer and the logits.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].

    Returns:
        Activations as a grid, and logits.

    Cost: one forward pass without a graph.
    """
    recorded: list[Tensor] = []

    def record(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> None:
        if isinstance(output, Tensor):
            recorded.append(output.clone())  # the head may overwrite its input

    with graph_free(), frozen(model), forward_hooks([model.target_module], record):
        logits = model(images)
    activations = only_output(recorded, model)
    return model.target_layer.to_nchw(activations, _size(images)), logits


@contextmanager
def open_head(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    substitute: Callable[[Tensor], Tensor] = Tensor.detach,
) -> Iterator[OpenHead]:
    """Run a model once and keep the graph of its head for any number of backward passes.

    Args:
        model: The classifier; in evaluation mode inside the block, restored afterwards.
        images: RGB in [0, 1].
        substitute: Maps the output of the layer to the input of the head.

    Yields:
        Activations and logits; the logits can be differentiated with respect to the activations.

    Cost: one forward pass; only the head has a graph.
    """
    leaves: list[Tensor] = []

    def cut(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        leaves.append(substitute(output.detach()).requires_grad_())
        torch.set_grad_enabled(True)
        # The head gets a copy, because in-place operations must not change a leaf.
        return leaves[-1].clone()

    with graph_free(), frozen(model):
        with forward_hooks([model.target_module], cut):
            logits = model(images)
        torch.set_grad_enabled(False)
        leaf = only_output(leaves, model)
        yield OpenHead(model.target_layer, _size(images), leaf, logits)


def run_head_backward(
    model: Classifier,
    images: Float[Tensor, "n ch h w"],
    targets: Int[Tensor, "n"] | None = None,
    substitute: Callable[[Tensor], Tensor] = Tensor.detach,
) -> HeadPass:
    """Differentiate each image's target logit with respect to the target layer's activations.

    Args:
        model: The classifier; its state is restored.
        images: RGB in [0, 1].
        targets: One class per image. Default: the predicted class.
        substitute: Maps the output of the layer to the input of the head.

    Returns:
        Activations, gradients and logits.

    Cost: one forward pass; only the head has a graph; and one backward pass of the head.
    """
    with open_head(model, images, substitute) as head:
        gradients = head.gradients(choose_targets(head.logits, targets))
        return HeadPass(head.activations, gradients, head.logits)


def only_output(outputs: list[Tensor], model: Classifier) -> Tensor:
    """Return the only output of the target layer in a forward pass.

    Raises:
        InputError: The layer did not run exactly once.
    """
    if len(outputs) == 1:
        return outputs[0]
    raise InputError(
        f"target layer {model.target_layer.name}",
        expected="a layer with one output per forward pass",
        got=f"{len(outputs)} outputs",
        fix="choose a layer that is not used twice (--layer)",
    )


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[2], images.shape[3]
