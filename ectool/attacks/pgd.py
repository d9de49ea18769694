"""Gradient ascent with projection: FGSM and PGD."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ectool.attacks.ball import Ball, Pixels, enter, take
from ectool.attacks.objectives import LabelLoss, Objective, tells_success, value_and_gradient

LEG = 4
"""Steps after which those that succeeded leave, where the objective tells of success."""


@dataclass(frozen=True)
class Settings:
    """How an attack goes about it; each attack tells which of these it uses.

    Attributes:
        steps: Number of steps, 0 or more.
        alpha: Length of a step in pixel units, in the ball's norm.
        decay: Share of the last step's momentum that is kept (mim).
        sigma: Standard deviation of the blur in pixels; 1/16 of the height if None (blur).
        color: What the background is filled with, in [0, 1]; its own mean if None (fill).
    """

    steps: int = 0
    alpha: float = 0.0
    decay: float = 1.0
    sigma: float | None = None
    color: tuple[float, float, float] | None = None


def fgsm(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:  # noqa: ARG001 (one signature for all)
    """Take one step of the length eps (Goodfellow et al. 2015, arXiv 1412.6572).

    ``x + eps * sign(g)``, and in the L2 ball ``x + eps * g / norm2(g)``, with g the gradient at
    the start; projected.

    Args:
        ball: Where the result has to lie.
        objective: What is raised.
        start: Where to begin; the clean images in the paper.
        settings: Not used.

    Returns:
        Pixels in the ball.

    Cost: 1 forward + 1 backward to the input.
    """
    return pgd(ball, objective, start, Settings(steps=1, alpha=ball.eps))


def pgd(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Climb with steps of one length (Madry et al. 2018, arXiv 1706.06083).

    ``x_{t+1} = project(x_t + alpha * sign(g_t))``, and in the L2 ball with ``g_t / norm2(g_t)``.
    A pixel whose gradient is NaN stays where it is in that step. Nothing in the loop waits for
    the device, and an image's result does not depend on its batch beyond the device's arithmetic.

    Where the objective tells of success, and other than in the paper, an image that is one after
    a leg of 4 steps is a result: it leaves the batch and costs nothing more. That the answer is
    wrong costs nothing to see there, for the next step begins with it; the device is waited for.

    Args:
        ball: Where the result has to lie.
        objective: What is raised.
        start: Where to begin, finite pixels; projected into the ball first.
        settings: ``steps`` and ``alpha``.

    Returns:
        Pixels in the ball, in the memory format of its clean images.

    Cost: steps × (forward + backward to the input), or less for a success.
    """
    current = enter(ball, start)
    if tells_success(objective):
        return _until_success(ball, objective, current, settings)
    for _ in range(settings.steps):
        _, gradient = value_and_gradient(objective, current)
        current = _step(ball, current, gradient, settings)
    return current


def _until_success(ball: Ball, objective: LabelLoss, current: Pixels, settings: Settings) -> Pixels:
    """Climb, and after each leg let those go that succeeded."""
    results, rows = current, torch.arange(len(current), device=current.device)
    for step in range(settings.steps):
        value, gradient = value_and_gradient(objective, current)
        if step and step % LEG == 0:
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
