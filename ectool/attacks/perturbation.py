"""From an attack to finished images: rounding, the last answer, restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from ectool.attacks.ball import WHITE, Ball, Pixels
from ectool.attacks.objectives import Model, Objective
from ectool.attacks.pgd import Settings

Method = Callable[[Ball, Objective, Tensor, Settings], Tensor]


@dataclass(frozen=True)
class Perturbed:
    """Perturbed images and what the model says about them.

    Attributes:
        images: Images, 0 to 255, in the ball.
        logits: The judge's logits of exactly these images.
    """

    images: UInt8[Tensor, "n c h w"]
    logits: Float32[Tensor, "n k"]


def finish(
    ball: Ball, pixels: Pixels, judge: Model, allows: Callable[[Tensor], Tensor | None]
) -> Perturbed:
    """Round onto the uint8 grid inside of the ball, and ask the judge about the result.

    Args:
        ball: Where the result has to lie.
        pixels: Where an attack ended.
        judge: Maps float32 pixels to logits; the precise model, where the attack used a fast one.
        allows: Tells by the judge's logits which images may be a result, or None for all; the
            others are put back to the clean ones.

    Returns:
        Images and logits.

    Cost: 1 forward; 1 more where something may have to be put back.
    """
    images = ball.round(pixels)
    logits = ask(judge, images)
    allowed = allows(logits)
    if allowed is None:
        return Perturbed(images, logits)
    clean = ball.round(ball.clean)
    images = torch.where(allowed[:, None, None, None], images, clean)
    return Perturbed(images, torch.where(allowed[:, None], logits, ask(judge, clean)))


def perturb(
    method: Method,
    ball: Ball,
    objective: Objective,
    starts: Iterable[Pixels],
    settings: Settings,
    *,
    judge: Model,
) -> Perturbed:
    """Run an attack from every start and keep each image's result of the greatest score.

    Args:
        method: The attack.
        ball: Where the result has to lie.
        objective: What is raised, and by whose score several results are compared, the first of
            equals; a result is compared after rounding.
        starts: One start or more.
        settings: How the attack goes about it.
        judge: The model that is asked about the result.

    Returns:
        Images and logits.

    Cost: for each start that of the attack + 1 forward, and with several 1 evaluation more each.
    """
    results = (
        finish(ball, method(ball, objective, start, settings), judge, objective.allows)
        for start in starts
    )
    best = next(results)
    score: Tensor | None = None
    for result in results:
        score = _score(objective, best) if score is None else score
        ahead = _score(objective, result)
        better = ahead > score
        score = torch.where(better, ahead, score)
        best = _merge(better, result, best)
    return best


def ask(judge: Model, images: UInt8[Tensor, "n c h w"]) -> Float32[Tensor, "n k"]:
    """Return a model's logits of whole images."""
    with torch.no_grad():
        return judge(images.float().div_(WHITE)).float()


def _score(objective: Objective, result: Perturbed) -> Tensor:
    with torch.no_grad():
        return objective(result.images.float().div_(WHITE)).score


def _merge(mask: Tensor, ours: Perturbed, theirs: Perturbed) -> Perturbed:
    """Take the first's rows where the mask is True."""
    images = torch.where(mask[:, None, None, None], ours.images, theirs.images)
    return Perturbed(images, torch.where(mask[:, None], ours.logits, theirs.logits))
