"""What an attack climbs: a loss of the labels, or the change of the explanation."""

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
from ectool.attacks.watch import Watch
from ectool.models.objective import Labels

Model = Callable[[Tensor], Tensor]
Maps = Float[Tensor, "n h w"] | Float[Tensor, "n k h w"]
Explain = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Maps pixels to heatmaps and logits, both with a graph back to the pixels."""


@dataclass(frozen=True)
class Value:
    """What an objective says of some images.

    Attributes:
        climbed: The number whose gradient is followed, with its graph.
        score: The number by which results are compared, without a graph; minus infinity for an
            image that may not be a result.
        success: Whether each image is all that is wanted, whatever its score; None where only
            the score counts.
    """

    climbed: Losses
    score: Losses
    success: Bool[Tensor, "n"] | None = None

    def unfinished(self) -> Int64[Tensor, "m"]:
        """Return the rows of the images that are not all that is wanted."""
        missed = torch.ones_like(self.score) if self.success is None else ~self.success
        return missed.nonzero()[:, 0]


@runtime_checkable  # for the checks of types in tests
class Objective(Protocol):
    """What an attack makes as great as it can, one number per image."""

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images."""
        ...

    def allows(self, logits: Logits) -> Bool[Tensor, "n"] | None:
        """Tell which images may be a result, by their logits; None for all."""
        ...


@dataclass(frozen=True)
class LabelLoss:
    """The loss of the true labels, or of target labels.

    Attributes:
        model: Maps pixels to logits; asked as it is, so freeze its parameters and put it into
            evaluation mode before.
        loss: What is raised.
        labels: True class of every image; or present (1), absent (0), uncounted (-1) classes.
        targets: Labels to reach, or None.
        wants_error: Whether any wrong answer is a success, and the loss only the way there.
        scale: What logits are multiplied by before the loss is taken; see `losses.scale_of`.
        watch: Looks on; sees whether there was a gradient to follow.
    """

    model: Model
    loss: Loss
    labels: Labels
    targets: Labels | None = None
    wants_error: bool = False
    scale: Losses | None = None
    watch: Watch | None = None

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images; 1 forward."""
        logits = _at_least_float32(self.model(pixels))
        scaled = logits if self.scale is None else logits * self.scale[:, None]
        losses = self.loss.compute(scaled, self.labels, self.targets)
        success = self.is_wrong(logits.detach()) if self.wants_error else None
        return Value(losses, losses.detach(), success)

    def allows(self, logits: Logits) -> None:
        """Allow all images."""

    def is_wrong(self, logits: Logits) -> Bool[Tensor, "n"]:
        """Tell which predictions are wrong."""
        return is_wrong(logits, self.labels)

    def take(self, rows: Int64[Tensor, "m"]) -> LabelLoss:
        """Return the loss of some images."""
        return replace(
            self,
            labels=self.labels[rows],
            targets=None if self.targets is None else self.targets[rows],
            scale=None if self.scale is None else self.scale[rows],
            watch=None if self.watch is None else self.watch.take(rows),
        )


def is_wrong(logits: Logits, labels: Labels) -> Bool[Tensor, "n"]:
    """Tell which predictions are not the true class, or wrong in a label that counts."""
    if labels.ndim == 1:
        return logits.argmax(1) != labels
    return (((logits > 0) != (labels > 0)) & (labels >= 0)).any(1)


def tells_success(objective: Objective) -> TypeGuard[LabelLoss]:
    """Tell whether images may be done with before the last step."""
    return isinstance(objective, LabelLoss) and objective.wants_error


@dataclass(frozen=True)
class HeatmapChange:
    """How far the explanation moves while the answer stays.

    ``climbed = 1 - cos(h(x), h(clean)) - max(violation, 0)`` with ``violation`` the margin by which
    the answer is another than that to the clean image, in rescaled logits; ``score = 1 - cos``
    where the answer stays. After Ghorbani et al. 2019 (arXiv 1710.10547), with the cosine by which
    consistency is measured in place of their losses, and with a penalty that leads back
    across the boundary besides their rule to keep the last image of the same answer. The mean
    over an image's maps where it has several. A map that is zero where the clean one is not has
    changed by 1; where the
    clean one is zero, nothing can be measured and nothing changes.

    Attributes:
        explain: Maps pixels to heatmaps and logits with a graph; has to be differentiable.
        heatmaps: Those of the clean images.
        answers: What the model answers to them: classes (n,), or for several labels 1 for those
            that are found and 0 for the others (n, c).
        scale: What logits are multiplied by before the violation is taken.
        watch: Looks on; sees whether there was a gradient to follow.
    """

    explain: Explain
    heatmaps: Maps
    answers: Labels
    scale: Losses | None = None
    watch: Watch | None = None

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images; 1 forward and 1 backward of the head."""
        heatmaps, logits = self.explain(pixels)
        change = heatmap_change(heatmaps, self.heatmaps)
        violation = margin(_at_least_float32(logits), self.answers)
        if self.scale is not None:
            violation = violation * self.scale
        kept = self.allows(logits.detach())
        score = change.detach().masked_fill(~kept, -float("inf"))
        return Value(change - violation.relu(), score)

    def allows(self, logits: Logits) -> Bool[Tensor, "n"]:
        """Allow images with the same answer as the clean ones."""
        if self.answers.ndim == 1:
            return logits.argmax(1) == self.answers
        return ((logits > 0) == (self.answers > 0)).all(1)


def heatmap_change(heatmaps: Maps, clean: Maps) -> Losses:
    """Return ``1 - cos(heatmaps, clean)`` of every image, the mean over maps that are not zero.

    Args:
        heatmaps: Non-negative maps, with or without a graph.
        clean: Those they are compared with; zero maps stand for none.

    Returns:
        Numbers in [0, 1]; 0 where all clean maps are zero.
    """
    ours, theirs = (maps.flatten(-2).float() for maps in (heatmaps, clean))
    exists = theirs.any(-1)
    change = (1 - F.cosine_similarity(ours, theirs, dim=-1)).where(exists, 0)
    if change.ndim == 1:
        return change
    return change.sum(1) / exists.sum(1).clamp(min=1)


def value_and_gradient(objective: Objective, pixels: Pixels) -> tuple[Value, Pixels]:
    """Differentiate ``sum_i climbed_i`` with respect to the pixels alone.

    The sum, not the mean, so that an image's gradient is the same in every batch.

    Returns:
        The value, without a graph, and the gradient; no parameter's ``grad`` is touched.

    Cost: 1 forward + 1 backward to the input, for a loss of the labels.
    """
    with torch.enable_grad():
        leaf = pixels.detach().requires_grad_()
        value = objective(leaf)
        gradient = _gradient(value.climbed.sum(), leaf)
    value = replace(value, climbed=value.climbed.detach())
    watch = objective.watch if isinstance(objective, LabelLoss | HeatmapChange) else None
    if watch is not None:
        watch.note(value.climbed, gradient)
    return value, gradient


def _gradient(total: Tensor, pixels: Pixels) -> Pixels:
    """Differentiate; zero where a step without a derivative has cut the pixels off."""
    if not total.requires_grad:
        return torch.zeros_like(pixels)
    (gradient,) = torch.autograd.grad(total, pixels, allow_unused=True, materialize_grads=True)
    return gradient


def _at_least_float32(logits: Logits) -> Logits:
    """Return logits in which losses of half-precision models do not lose further digits."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
