"""Projected gradient ascent on the loss of the true labels, confined to the background."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Int8, Int64, UInt8
from torch import Tensor

from ectool.models.objective import sample_losses

Model = Callable[[Tensor], Tensor]
Labels = Int64[Tensor, "n"] | Int8[Tensor, "n k"]


@dataclass(frozen=True)
class Attack:
    """Semantic-preserved samples and what the model says about them.

    Attributes:
        images: Perturbed pictures, 0 to 255, within eps of the clean ones.
        logits: Logits of exactly these pictures, after rounding.
    """

    images: UInt8[Tensor, "n c h w"]
    logits: Float32[Tensor, "n k"]


def pgd(
    model: Model,
    images: UInt8[Tensor, "n c h w"],
    labels: Labels,
    *,
    background: Bool[Tensor, "n h w"],
    eps: float,
    alpha: float,
    steps: int,
    start: Float[Tensor, "n c h w"] | UInt8[Tensor, "n c h w"],
    targeted: bool = False,
) -> Attack:
    """Perturb the background within the L-infinity ball and round onto the uint8 grid.

    ``x_{t+1} = clamp(x_t + alpha * sign(dL/dx_t), lower, upper)`` after Madry et al. 2018
    (arXiv 1706.06083). Deviations: the ball is a point wherever ``background`` is False, and the
    result is rounded to whole levels, of which ``whole_levels(eps)`` are allowed. So
    ``|images - clean| / 255 <= eps`` holds exactly, the foreground is bit-identical, and an eps
    below 1/255 changes nothing.

    The model is called as it is: freeze its parameters and put it into evaluation mode before.
    Nothing is accumulated in its parameters. The memory format of ``images`` (channels_last
    included) is the one the model is fed. A picture's result does not depend on its batch beyond
    the arithmetic of the device.

    Args:
        model: Maps float32 pixels in [0, 1] to logits (n, k).
        images: Clean pictures, 0 to 255.
        labels: True class of every picture (n,); or its present (1), absent (0) and uncounted (-1)
            classes (n, k); those to reach if ``targeted``. A picture none of whose labels counts
            has no loss and stays at its start.
        background: True where a pixel may move.
        eps: Radius of the ball in pixel units, so 2/255 is two levels.
        alpha: Length of a step in pixel units.
        steps: Number of steps, 0 or more; with 0 the projected start is rounded and returned.
        start: Where to begin: pixels in [0, 1], or 0 to 255 if uint8, such as the clean pictures
            plus a random start or the last round's samples. Projected into the bounds first; has
            to be finite.
        targeted: Descend on the loss of ``labels`` instead of ascending.

    Returns:
        The rounded pictures and their logits.

    Cost: steps × (forward + backward to the input) + 1 forward.
    """
    clean = _unit(images)
    lower, upper = pixel_bounds(clean, background, eps)
    moved = pgd_steps(
        model, _unit(start), labels, lower, upper, alpha=alpha, steps=steps, targeted=targeted
    )
    rounded = round_to_levels(moved, images, background, eps)
    with torch.no_grad():
        logits = model(_unit(rounded))
    return Attack(rounded, logits.float())


def pgd_steps(
    model: Model,
    start: Float[Tensor, "n c h w"],
    labels: Labels,
    lower: Float[Tensor, "n c h w"],
    upper: Float[Tensor, "n c h w"],
    *,
    alpha: float,
    steps: int,
    targeted: bool = False,
) -> Float[Tensor, "n c h w"]:
    """Take the steps of PGD between per-pixel bounds, without rounding at the end.

    A pixel whose gradient is NaN stays where it is in that step; an infinite gradient counts by
    its sign. Nothing in the loop waits for the device.

    Args:
        model: Maps pixels in [0, 1] to logits (n, k).
        start: Where to begin, pixels in [0, 1]; projected into the bounds first.
        labels: True classes, as for ``pgd``; those to reach if ``targeted``.
        lower: Least value of every pixel.
        upper: Greatest value of every pixel.
        alpha: Length of a step in pixel units.
        steps: Number of steps, 0 or more.
        targeted: Descend instead of ascending.

    Returns:
        Pixels between the bounds, detached, in the memory format of ``lower``.

    Cost: steps × (forward + backward to the input).
    """
    step = -alpha if targeted else alpha
    # The bounds come first in each operation because the first operand sets the memory format.
    current = lower.maximum(start).minimum(upper).detach()
    for _ in range(steps):
        direction = input_gradient(model, current, labels).sign()  # 0 for NaN
        current = current.add(direction, alpha=step).clamp_(lower, upper)
    return current


def input_gradient(
    model: Model, pixels: Float[Tensor, "n c h w"], labels: Labels
) -> Float[Tensor, "n c h w"]:
    """Differentiate ``sum_i sample_losses_i`` with respect to the pixels alone.

    The sum, not the mean, so that a picture's gradient is the same in every batch.

    Args:
        model: Maps pixels to logits (n, k).
        pixels: Where to differentiate.
        labels: True classes, as for ``pgd``.

    Returns:
        The gradient; no parameter's ``grad`` is touched.

    Cost: 1 forward + 1 backward to the input.
    """
    with torch.enable_grad():
        leaf = pixels.detach().requires_grad_()
        loss = sample_losses(model(leaf), labels).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient


def pixel_bounds(
    pixels: Float[Tensor, "n c h w"],
    background: Bool[Tensor, "n h w"],
    eps: float,
    white: float = 1.0,
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n c h w"]]:
    """Fold the eps-ball, the background mask and the pixel box into one interval per pixel.

    ``lower = max(x - eps * background, 0)`` and ``upper = min(x + eps * background, white)``.

    Args:
        pixels: Clean pixels in [0, white].
        background: True where a pixel may move.
        eps: Radius in the unit of the pixels.
        white: The greatest pixel value.

    Returns:
        Lower and upper bound; both are the clean pixel outside the background.
    """
    radius = background.unsqueeze(1).to(pixels.dtype) * eps
    return (pixels - radius).clamp_(min=0.0), (pixels + radius).clamp_(max=white)


def round_to_levels(
    pixels: Float[Tensor, "n c h w"],
    clean: UInt8[Tensor, "n c h w"],
    background: Bool[Tensor, "n h w"],
    eps: float,
) -> UInt8[Tensor, "n c h w"]:
    """Round pixels onto the uint8 grid without leaving the ball around the clean picture.

    Args:
        pixels: Pixels in [0, 1].
        clean: Clean pictures, 0 to 255.
        background: True where a pixel may differ from the clean one.
        eps: Radius of the ball in pixel units.

    Returns:
        Pictures, 0 to 255, at most ``whole_levels(eps)`` levels from the clean ones.
    """
    lower, upper = pixel_bounds(clean.float(), background, float(whole_levels(eps)), white=255.0)
    return pixels.mul(255).round_().clamp_(lower, upper).to(torch.uint8)


def whole_levels(eps: float) -> int:
    """Return the greatest number of uint8 levels k with ``k / 255 <= eps``.

    Args:
        eps: Radius in pixel units, at least 0.

    Returns:
        The number of levels, at most 255; 8 for eps = 8/255.
    """
    nearest = min(round(eps * 255), 255)
    # Not floor(eps * 255): 255 * (k / 255) may come out just below k.
    return nearest if nearest / 255 <= eps else math.floor(eps * 255)


def _unit(images: Tensor) -> Tensor:
    """Return float32 pixels in [0, 1], dividing by 255 what is uint8."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images.float()
