"""Interface of explainers, and the handling of several targets per image."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

Targets = Int[Tensor, "n"] | Int[Tensor, "n k"] | None
"""One class to explain per image, several with -1 for none, or None for the predicted class."""


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of a batch, and the logits of the same forward pass.

    Attributes:
        heatmaps: Non-negative, float32, on the raw scale and at the resolution of the method; one
            per target.
        logits: Logits of the model.
    """

    heatmaps: Float[Tensor, "n h w"] | Float[Tensor, "n k h w"]
    logits: Float[Tensor, "n c"]


@runtime_checkable
class Explainer(Protocol):
    """Explains images for one model, one or several classes per image."""

    def __call__(self, images: Float[Tensor, "n ch h w"], targets: Targets = None) -> Explanation:
        """Explain a batch.

        Args:
            images: RGB in [0, 1], on the model's device.
            targets: The class to explain per image, or k classes; -1 means no class, and its
                heatmap is zero. Default: the predicted class.

        Returns:
            Heatmaps and logits, without an autograd graph.
        """
        ...


@dataclass(frozen=True)
class Method:
    """A row of the table of methods.

    Attributes:
        make: Makes the explainer of a classifier; its keyword parameters are the method's options.
        grid: Resolution of the heatmaps: `layer` for the target layer, which the user may choose;
            `own` for pixels, or tokens of a transformer.
        is_compilable: Whether it looks at no other layers than the target layer, so that parts of
            the network can be compiled.
        is_costly: Whether it needs many passes for an image, so that few images are compared.
    """

    make: Callable[..., Explainer]
    grid: Literal["layer", "own"]
    is_compilable: bool = False
    is_costly: bool = False

    @property
    def options(self) -> frozenset[str]:
        """Return the names of the method's options."""
        parameters = inspect.signature(self.make).parameters.values()
        return frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def choose_targets(
    logits: Float[Tensor, "n c"], targets: Targets
) -> Int[Tensor, "n"] | Int[Tensor, "n k"]:
    """Return ``targets`` as indices, or the predicted classes if they are None."""
    return logits.argmax(1) if targets is None else targets.to(logits.device, torch.int64)


def explain_targets(
    explain: Callable[[Float[Tensor, "m ch h w"], Int[Tensor, "m"]], Float[Tensor, "m i j"]],
    images: Float[Tensor, "n ch h w"],
    classes: Int[Tensor, "n *k"],
) -> Float[Tensor, "n *k i j"]:
    """Compute the heatmaps of every target with a function of one target per image.

    Args:
        explain: Returns a heatmap for each image and its class; called once per column of
            ``classes``, with the images that have a class in that column.
        images: RGB in [0, 1].
        classes: One or several classes per image; -1 means no class, and its map is zero.

    Returns:
        float32 heatmaps.
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
    if maps is None:  # no class at all: compute one map for its shape
        drawn = explain(images[:1], columns[:1, 0].clamp(min=0)).float()
        maps = drawn.new_zeros(*columns.shape, *drawn.shape[1:])
    return maps.view(*classes.shape, *maps.shape[2:])


def repeat_for_targets(
    maps: Float[Tensor, "n h w"], classes: Int[Tensor, "n *k"]
) -> Float[Tensor, "n *k h w"]:
    """Repeat a class-independent heatmap for all targets of its image.

    Args:
        maps: One heatmap per image.
        classes: The targets of each image; -1 means no class, and its map is zero.

    Returns:
        One heatmap per target.
    """
    has_class = (classes >= 0).view(len(classes), -1, 1, 1)
    return (maps[:, None] * has_class).view(*classes.shape, *maps.shape[1:])
