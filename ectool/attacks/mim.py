"""The momentum iterative method."""

from __future__ import annotations

import torch

from ectool.attacks.ball import Ball, Pixels, enter
from ectool.attacks.objectives import Objective, value_and_gradient
from ectool.attacks.pgd import Settings

# A zero gradient stays zero.
_TINY = 1e-12


def mim(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Follow a momentum of normalised gradients (Dong et al. 2018, arXiv 1710.06081).

    ``m_{t+1} = decay * m_t + g_t / norm1(g_t)`` and
    ``x_{t+1} = project(x_t + alpha * sign(m_{t+1}))``, in the L2 ball with ``m / norm2(m)``;
    ``norm1`` is taken over the pixels that may change.

    Args:
        ball: The feasible set.
        objective: The function to maximize.
        start: The start; the clean images in the paper.
        settings: ``steps``, ``alpha`` (eps / steps in the paper) and ``decay`` (1 in the paper).

    Returns:
        Pixels in the ball.

    Cost: steps × (forward + input-gradient pass).
    """
    current = enter(ball, start)
    may_change = ball.weight[:, None] > 0
    momentum = torch.zeros_like(current)
    for _ in range(settings.steps):
        _, gradient = value_and_gradient(objective, current)
        gradient = gradient.nan_to_num(0, 0, 0) * may_change
        length = gradient.abs().sum((1, 2, 3), keepdim=True).clamp(min=_TINY)
        momentum = momentum.mul_(settings.decay).add_(gradient / length)
        current = ball.project_(current.add(ball.steepest(momentum), alpha=settings.alpha))
    return current
