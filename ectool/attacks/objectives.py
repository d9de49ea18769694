"""Objectives of attacks: a loss of the labels, or the change of the explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeGuard, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional as F

from ectool.attacks.ball import Pixels
from ectool.attacks.losses import Logits, Loss, Losses, margin
from ectool.attacks.monitor import AttackMonitor
from ectool.models.objective import Labels

Model = Callable[[Tensor], Tensor]
Maps = Float[Tensor, "n h w"] | Float[Tensor, "n k h w"]
Explain = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps pixels to heatmaps and logits, both with an autograd graph to the pixels."""


@dataclass(frozen=True)
class Value:
    """Value of an objective for a batch of images.

    Attributes:
        objective: The number to maximize, with its autograd graph.
        score: The number that compares results, without a graph; minus infinity for an image that
            may not be a result.
        success: Whether the attack has succeeded on each image, independent of the score; None if
            only the score counts.
    """

    objective: Losses
    score: Losses
    success: Bool[Tensor, "n"] | None = None

    def unfinished(self) -> Int64[Tensor, "m"]:
        """Return the rows of the images on which the attack has not succeeded."""
        failed = torch.ones_like(self.score) if self.success is None else ~self.success
        return failed.nonzero()[:, 0]


@runtime_checkable  # for type checks in tests
class Objective(Protocol):
    """A function that an attack maximizes, one number per image."""

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images."""
        ...

    def allows(self, logits: Logits) -> Bool[Tensor, "n"] | None:
        """Return which images may be a result, given their logits; None for all."""
        ...


@dataclass(frozen=True)
class LabelLoss:
    """The loss of the true labels, or of target labels.

    Attributes:
        model: Maps pixels to logits, in evaluation mode and with frozen parameters.
        loss: The loss to maximize.
        labels: True class of every image; or present (1), absent (0), ignored (-1) classes.
        targets: Target labels, or None for an untargeted attack.
        stop_when_misclassified: Whether a misclassified image is a success, whatever its loss.
        scale: Factor on the logits before the loss; see `losses.scale_of`.
        monitor: Records the gradients and losses of the attack.
    """

    model: Model
    loss: Loss
    labels: Labels
    targets: Labels | None = None
    stop_when_misclassified: bool = False
    scale: Losses | None = None
    monitor: AttackMonitor | None = None

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images; 1 forward pass."""
        logits = _at_least_float32(self.model(pixels))
        scaled = logits if self.scale is None else logits * self.scale[:, None]
        losses = self.loss.compute(scaled, self.labels, self.targets)
        success = self.is_misclassified(logits.detach()) if self.stop_when_misclassified else None
        return Value(losses, losses.detach(), success)

    def allows(self, logits: Logits) -> None:
        """Allow all images."""

    def is_misclassified(self, logits: Logits) -> Bool[Tensor, "n"]:
        """Return which images are misclassified."""
        return is_misclassified(logits, self.labels)

    def take(self, rows: Int64[Tensor, "m"]) -> LabelLoss:
        """Return the objective for some of the images."""
        return replace(
            self,
            labels=self.labels[rows],
            targets=None if self.targets is None else self.targets[rows],
            scale=None if self.scale is None else self.scale[rows],
            monitor=None if self.monitor is None else self.monitor.take(rows),
        )


def is_misclassified(logits: Logits, labels: Labels) -> Bool[Tensor, "n"]:
    """Return which images are misclassified; multi-label: in any label that is not ignored."""
    if labels.ndim == 1:
        return logits.argmax(1) != labels
    return (((logits > 0) != (labels > 0)) & (labels >= 0)).any(1)


def can_stop_early(objective: Objective) -> TypeGuard[LabelLoss]:
    """Return whether images may leave the batch before the last step."""
    return isinstance(objective, LabelLoss) and objective.stop_when_misclassified


@dataclass(frozen=True)
class HeatmapChange:
    """Change of the heatmap, under the constraint that the prediction is kept.

    ``objective = 1 - cos(h(x), h(clean)) - max(violation, 0)``, with ``violation`` the margin, in
    rescaled logits, by which the prediction differs from that for the clean image;
    ``score = 1 - cos`` where the prediction is kept. After Ghorbani et al. 2019
    (arXiv 1710.10547). Deviations: the cosine, which also measures consistency, in place of their
    losses; and the penalty, in addition to their rule that the last image with the same prediction
    is the result. For several heatmaps of an image the mean. A zero map changes by 1 if the clean
    map is not zero; if the clean map is zero, the change is undefined and counts as 0.

    Attributes:
        explain: Maps pixels to heatmaps and logits, differentiably.
        heatmaps: Heatmaps of the clean images.
        predictions: Predictions for the clean images: classes (n,); multi-label (n, c): 1 for a
            predicted label, 0 for the others.
        scale: Factor on the logits before the violation is computed.
        monitor: Records the gradients and losses of the attack.
    """

    explain: Explain
    heatmaps: Maps
    predictions: Labels
    scale: Losses | None = None
    monitor: AttackMonitor | None = None

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images; 1 forward pass and 1 backward pass of the head."""
        heatmaps, logits = self.explain(pixels)
        change = heatmap_change(heatmaps, self.heatmaps)
        violation = margin(_at_least_float32(logits), self.predictions)
        if self.scale is not None:
            violation = violation * self.scale
        kept = self.allows(logits.detach())
        score = change.detach().masked_fill(~kept, -float("inf"))
        return Value(change - violation.relu(), score)

    def allows(self, logits: Logits) -> Bool[Tensor, "n"]:
        """Allow images with the same prediction as the clean images."""
        if self.predictions.ndim == 1:
            return logits.argmax(1) == self.predictions
        return ((logits > 0) == (self.predictions > 0)).all(1)


def heatmap_change(heatmaps: Maps, clean: Maps) -> Losses:
    """Return ``1 - cos(heatmaps, clean)`` for every image, the mean over its nonzero clean maps.

    Args:
        heatmaps: Non-negative maps, with or without a graph.
        clean: Heatmaps of the clean images; zero maps are ignored.

    Returns:
        Numbers in [0, 1]; 0 where all clean maps are zero.
    """
    maps, reference = (values.flatten(-2).float() for values in (heatmaps, clean))
    exists = reference.any(-1)
    change = (1 - F.cosine_similarity(maps, reference, dim=-1)).where(exists, 0)
    if change.ndim == 1:
        return change
    return change.sum(1) / exists.sum(1).clamp(min=1)


def value_and_gradient(objective: Objective, pixels: Pixels) -> tuple[Value, Pixels]:
    """Differentiate ``sum_i objective_i`` with respect to the pixels only.

    The sum, not the mean, makes an image's gradient independent of the batch.

    Returns:
        The value, without a graph, and the gradient; no parameter's ``grad`` is touched.

    Cost: 1 forward pass + 1 input-gradient pass, for a loss of the labels.
    """
    with torch.enable_grad():
        leaf = pixels.detach().requires_grad_()
        value = objective(leaf)
        gradient = _gradient(value.objective.sum(), leaf)
    value = replace(value, objective=value.objective.detach())
    monitor = objective.monitor if isinstance(objective, LabelLoss | HeatmapChange) else None
    if monitor is not None:
        monitor.note(value.objective, gradient)
    return value, gradient


def _gradient(total: Tensor, pixels: Pixels) -> Pixels:
    """Differentiate; zero if the total has no graph to the pixels."""
    if not total.requires_grad:
        return torch.zeros_like(pixels)
    (gradient,) = torch.autograd.grad(total, pixels, allow_unused=True, materialize_grads=True)
    return gradient


def _at_least_float32(logits: Logits) -> Logits:
    """Return logits in float32 or higher precision, so that losses lose no further digits."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
