"""Run an attack with restarts, round its result to uint8, and compute the final logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from ectool.attacks.ball import WHITE, Ball, Pixels
from ectool.attacks.objectives import Model, Objective
from ectool.attacks.pgd import Settings

AttackFunction = Callable[[Ball, Objective, Tensor, Settings], Tensor]


@dataclass(frozen=True)
class Perturbed:
    """Perturbed images and their logits.

    Attributes:
        images: Images, 0 to 255, in the ball.
        logits: Logits of the evaluation model for exactly these images.
    """

    images: UInt8[Tensor, "n c h w"]
    logits: Float32[Tensor, "n k"]


def finish(
    ball: Ball, pixels: Pixels, evaluation_model: Model, allows: Callable[[Tensor], Tensor | None]
) -> Perturbed:
    """Round to the uint8 grid inside the ball, and compute the logits of the result.

    Args:
        ball: The feasible set.
        pixels: Result of an attack.
        evaluation_model: Maps float32 pixels to logits; the float32 model if the attack ran in
            lower precision.
        allows: Maps these logits to a mask of images that may be a result, or None for all; the
            clean images replace the others.

    Returns:
        Images and logits.

    Cost: 1 forward pass; 2 where `allows` returns a mask.
    """
    images = ball.round(pixels)
    logits = run_model(evaluation_model, images)
    allowed = allows(logits)
    if allowed is None:
        return Perturbed(images, logits)
    clean = ball.round(ball.clean)
    images = torch.where(allowed[:, None, None, None], images, clean)
    return Perturbed(
        images, torch.where(allowed[:, None], logits, run_model(evaluation_model, clean))
    )


def perturb(
    method: AttackFunction,
    ball: Ball,
    objective: Objective,
    starts: Iterable[Pixels],
    settings: Settings,
    *,
    evaluation_model: Model,
) -> Perturbed:
    """Run an attack from every start and keep the result with the maximum score per image.

    Args:
        method: The attack.
        ball: The feasible set.
        objective: The function to maximize; its score compares the results of several starts after
            rounding, and the first wins a tie.
        starts: At least one start.
        settings: Settings of the attack.
        evaluation_model: The model that computes the logits of the result.

    Returns:
        Images and logits.

    Cost: per start, the attack and 1 forward pass; 1 more evaluation each if there are several.
    """
    results = (
        finish(ball, method(ball, objective, start, settings), evaluation_model, objective.allows)
        for start in starts
    )
    best = next(results)
    score: Tensor | None = None
    for result in results:
        score = _score(objective, best) if score is None else score
        new_score = _score(objective, result)
        better = new_score > score
        score = torch.where(better, new_score, score)
        best = _merge(better, result, best)
    return best


def run_model(model: Model, images: UInt8[Tensor, "n c h w"]) -> Float32[Tensor, "n k"]:
    """Return the logits of uint8 images."""
    with torch.no_grad():
        return model(images.float().div_(WHITE)).float()


def _score(objective: Objective, result: Perturbed) -> Tensor:
    with torch.no_grad():
        return objective(result.images.float().div_(WHITE)).score


def _merge(mask: Tensor, first: Perturbed, second: Perturbed) -> Perturbed:
    """Return rows of the first where the mask is True, and of the second elsewhere."""
    images = torch.where(mask[:, None, None, None], first.images, second.images)
    return Perturbed(images, torch.where(mask[:, None], first.logits, second.logits))
