"""The attack on the explanation: the worst heatmap that a permitted change leads to."""

from __future__ import annotations

import torch

from ectool.attacks.ball import Ball, Pixels, enter
from ectool.attacks.objectives import Objective, value_and_gradient
from ectool.attacks.pgd import Settings


def climb_to_best(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Take the steps of `pgd` and return the permitted image of the greatest score.

    With `HeatmapChange` this is the explanation attack (Ghorbani et al. 2019): the clean images
    count as a score of 0, so an image whose answer cannot be kept comes back unchanged. At the
    clean image the change is at its minimum and has no gradient: start somewhere else.

    Args:
        ball: Where the result has to lie.
        objective: What is raised; its score tells which images are permitted.
        start: Where to begin.
        settings: ``steps`` and ``alpha``.

    Returns:
        Pixels in the ball.

    Cost: steps × (forward + backward of the head + backward through both) + 1 evaluation.
    """
    current, best = enter(ball, start), ball.clean
    greatest = torch.zeros_like(ball.clean[:, 0, 0, 0])
    for _ in range(settings.steps):
        value, gradient = value_and_gradient(objective, current)
        best, greatest = _better(value.score, current, greatest, best)
        current = ball.project_(current.add(ball.steepest(gradient), alpha=settings.alpha))
    score = objective(current).score
    return _better(score, current, greatest, best)[0]


def _better(
    score: torch.Tensor, pixels: Pixels, greatest: torch.Tensor, best: Pixels
) -> tuple[Pixels, torch.Tensor]:
    is_better = score > greatest
    chosen = torch.where(is_better[:, None, None, None], pixels, best)
    return chosen, torch.where(is_better, score, greatest)
