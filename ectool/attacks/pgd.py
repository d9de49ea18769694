"""Projected gradient ascent: FGSM and PGD."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ectool.attacks.ball import Ball, Pixels, enter, take
from ectool.attacks.objectives import LabelLoss, Objective, can_stop_early, value_and_gradient

CHECK_EVERY = 4
"""Number of steps between checks for misclassified images, if the objective reports success."""


@dataclass(frozen=True)
class Settings:
    """Settings of an attack; each attack documents which of them it uses.

    Attributes:
        steps: Number of steps, 0 or more.
        alpha: Length of a step in pixel units, in the ball's norm.
        decay: Decay factor of the momentum (mim).
        sigma: Standard deviation of the blur in pixels; 1/16 of the height if None (blur).
        color: Colour of the background, in [0, 1]; None for the background's mean (fill).
    """

    steps: int = 0
    alpha: float = 0.0
    decay: float = 1.0
    sigma: float | None = None
    color: tuple[float, float, float] | None = None


def fgsm(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:  # noqa: ARG001 (one signature for all)
    """Take one step of length eps (Goodfellow et al. 2015, arXiv 1412.6572).

    ``x + eps * sign(g)``, and in the L2 ball ``x + eps * g / norm2(g)``, with g the gradient at
    the start; projected.

    Args:
        ball: The feasible set.
        objective: The function to maximize.
        start: The start; the clean images in the paper.
        settings: Not used.

    Returns:
        Pixels in the ball.

    Cost: 1 forward pass + 1 input-gradient pass.
    """
    return pgd(ball, objective, start, Settings(steps=1, alpha=ball.eps))


def pgd(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Take steps of constant length (Madry et al. 2018, arXiv 1706.06083).

    ``x_{t+1} = project(x_t + alpha * sign(g_t))``, and in the L2 ball with ``g_t / norm2(g_t)``.
    A pixel with a NaN gradient does not change in that step. The loop does not synchronize with
    the device, and results do not depend on the batch beyond the arithmetic of the device.

    Deviation if the objective reports success: images that are already misclassified leave the
    batch after every 4 steps and cost nothing more. The check needs no further forward pass,
    because the next step computes the logits, but it synchronizes with the device.

    Args:
        ball: The feasible set.
        objective: The function to maximize.
        start: The start, finite pixels; it is projected into the ball first.
        settings: ``steps`` and ``alpha``.

    Returns:
        Pixels in the ball, in the memory format of the clean images.

    Cost: steps × (forward + input-gradient pass); less for images that succeed.
    """
    current = enter(ball, start)
    if can_stop_early(objective):
        return _until_success(ball, objective, current, settings)
    for _ in range(settings.steps):
        _, gradient = value_and_gradient(objective, current)
        current = _step(ball, current, gradient, settings)
    return current


def _until_success(ball: Ball, objective: LabelLoss, current: Pixels, settings: Settings) -> Pixels:
    """Run PGD; successful images leave the batch after every 4 steps."""
    results, rows = current, torch.arange(len(current), device=current.device)
    for step in range(settings.steps):
        value, gradient = value_and_gradient(objective, current)
        if step and step % CHECK_EVERY == 0:
            results = results.index_copy(0, rows, current)
            left = value.unfinished()
            if len(left) == 0:
                return results
            if len(left) < len(rows):
                ball, objective, rows = ball.take(left), objective.take(left), rows[left]
                current, gradient = take(current, left), take(gradient, left)
        current = _step(ball, current, gradient, settings)
    return results.index_copy(0, rows, current)


def _step(ball: Ball, current: Pixels, gradient: Pixels, settings: Settings) -> Pixels:
    return ball.project_(current.add(ball.steepest(gradient), alpha=settings.alpha))
