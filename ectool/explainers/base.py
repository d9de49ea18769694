"""What every explainer takes and returns, and what the families share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Targets = Int[Tensor, "n"] | Int[Tensor, "n k"] | None
"""One class to explain of each image, several with -1 for none, or the predicted one."""


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of a batch, with the logits of the forward pass they come from.

    Attributes:
        heatmaps: Non-negative, float32, on the raw scale and at the own resolution of the method;
            one for each target.
        logits: What the model answered.
    """

    heatmaps: Float[Tensor, "n h w"] | Float[Tensor, "n k h w"]
    logits: Float[Tensor, "n c"]


@runtime_checkable
class Explainer(Protocol):
    """Explain images, one class or several each, for the model it was made for."""

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1], on the model's device.
            targets: The class to explain of each image, or k of them; -1 stands for none, and its
                heatmap is zero. Default: the predicted one.

        Returns:
            Heatmaps and logits, without an autograd graph.
        """
        ...


@dataclass(frozen=True)
class Method:
    """An entry of the table of methods.

    Attributes:
        make: Makes the explainer of a classifier; its keyword parameters are the method's options.
        grid: Where heatmaps are drawn: at the target layer, which the user may choose, or at a
            resolution that is the method's own (pixels, or tokens of a transformer).
    """

    make: Callable[..., Explainer]
    grid: Literal["layer", "own"]

    @property
    def options(self) -> frozenset[str]:
        """Return the names of the keyword parameters that it is made with."""
        parameters = inspect.signature(self.make).parameters.values()
        return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def choose_targets(
    logits: Float[Tensor, "n c"], targets: Targets
) -> Int[Tensor, "n"] | Int[Tensor, "n k"]:
    """Return ``targets`` as indices, or the predicted classes where there are none."""
    return logits.argmax(1) if targets is None else targets.to(logits.device, torch.int64)


def explain_targets(
    explain: Callable[[Float[Tensor, "m ch h w"], Int[Tensor, "m"]], Float[Tensor, "m i j"]],
    images: Float[Tensor, "n ch h w"],
    classes: Int[Tensor, "n *k"],
) -> Float[Tensor, "n *k i j"]:
    """Draw the maps of every target with a function that draws one for each image.

    Args:
        explain: Returns a heatmap for each image and its class; called once for each column of
            ``classes``, with the images that have a class there.
        images: RGB in [0, 1].
        classes: The class of each image, or several; -1 stands for none, and its map is zero.

    Returns:
        float32 maps.
    """
    if classes.ndim == 1 and bool((classes >= 0).all()):
        return explain(images, classes).float()
    columns = classes.view(len(classes), -1)
    maps: Tensor | None = None
    for column in range(columns.shape[1]):
        rows = (columns[:, column] >= 0).nonzero()[:, 0]
        if not len(rows):
            continue
        drawn = explain(images[rows], columns[rows, column]).float()
        if maps is None:
            maps = drawn.new_zeros(*columns.shape, *drawn.shape[1:])
        maps[rows, column] = drawn
    if maps is None:  # nothing to explain: one map, made for its shape alone
        drawn = explain(images[:1], columns[:1, 0].clamp(min=0)).float()
        maps = drawn.new_zeros(*columns.shape, *drawn.shape[1:])
    return maps.view(*classes.shape, *maps.shape[2:])


def repeat_for_targets(
    maps: Float[Tensor, "n h w"], classes: Int[Tensor, "n *k"]
) -> Float[Tensor, "n *k h w"]:
    """Repeat a map that depends on no class for all targets of its image.

    Args:
        maps: A heatmap for each image.
        classes: The targets of each image; -1 stands for none, and its map is zero.

    Returns:
        A map for each target.
    """
    wanted = (classes >= 0).view(len(classes), -1, 1, 1)
    return (maps[:, None] * wanted).view(*classes.shape, *maps.shape[1:])
