"""Attack on the explanation: maximize the change of the heatmap while the prediction is kept."""

from __future__ import annotations

import torch

from ectool.attacks.ball import Ball, Pixels, enter
from ectool.attacks.objectives import Objective, value_and_gradient
from ectool.attacks.pgd import Settings


def pgd_best(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Run PGD and return the image with the maximum score among all steps.

    With `HeatmapChange` this is the explanation attack (Ghorbani et al. 2019). The clean images
    have a score of 0, so an image stays unchanged if no step keeps its prediction. At the clean
    image the change is at its minimum and has no gradient, so use another start.

    Args:
        ball: The feasible set.
        objective: The function to maximize; its score is minus infinity for excluded images.
        start: The start.
        settings: ``steps`` and ``alpha``.

    Returns:
        Pixels in the ball.

    Cost: steps × (forward + backward of the head + backward through both) + 1 evaluation.
    """
    current, best = enter(ball, start), ball.clean
    best_score = torch.zeros_like(ball.clean[:, 0, 0, 0])
    for _ in range(settings.steps):
        value, gradient = value_and_gradient(objective, current)
        best, best_score = _better(value.score, current, best_score, best)
        current = ball.project_(current.add(ball.steepest(gradient), alpha=settings.alpha))
    score = objective(current).score
    return _better(score, current, best_score, best)[0]


def _better(
    score: torch.Tensor, pixels: Pixels, best_score: torch.Tensor, best: Pixels
) -> tuple[Pixels, torch.Tensor]:
    is_better = score > best_score
    chosen = torch.where(is_better[:, None, None, None], pixels, best)
    return chosen, torch.where(is_better, score, best_score)
