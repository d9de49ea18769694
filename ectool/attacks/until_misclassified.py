"""Measuring success: attack again and again, and leave out the images that are done."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from ectool.attacks.ball import Ball
from ectool.attacks.objectives import LabelLoss, Model
from ectool.attacks.perturbation import Method
from ectool.attacks.pgd import Settings

Start = Callable[[Ball, Tensor, int], Tensor]
"""Maps a ball, the numbers of its images and that of the attempt to where it begins."""


def until_fooled(
    method: Method,
    ball: Ball,
    objectives: Sequence[LabelLoss],
    start: Start,
    settings: Settings,
    *,
    judge: Model,
    restarts: int = 1,
) -> Float32[Tensor, "n k"]:
    """Attack each image until the judge's answer to one of the results is wrong.

    Each restart climbs every objective, such as the losses towards several targets. Images that
    are done leave the batch; no other one's result depends on that, beyond the arithmetic of the
    device. Results are not rounded to grey levels, which would undo small
    radii: an L2 radius of 0.5 is a third of a level per value at 224 px. This measures success;
    samples to learn from have to come from attacks of one length.

    Args:
        method: The attack.
        ball: Where the results have to lie.
        objectives: What is raised, one after the other; of the same labels.
        start: Where an attempt begins.
        settings: How the attack goes about it.
        judge: The model that has to be fooled.
        restarts: How often each objective is climbed, at least 1.

    Returns:
        Of every image the judge's logits of the first result that fools it, or else the last.

    Cost: for each image that of the attack and 1 forward per attempt, until it is fooled. One
    wait for the device per attempt, besides the attack's own.
    """
    todo = torch.arange(len(ball.clean), device=ball.clean.device)
    results: list[tuple[Tensor, Tensor]] = []
    for attempt, objective in enumerate([*objectives] * restarts):
        if len(todo) < len(objective.labels):
            objective = objective.take(todo)
        logits = _ask(judge, method(ball, objective, start(ball, todo, attempt), settings))
        results.append((todo, logits))
        left = (~objective.is_wrong(logits)).nonzero()[:, 0]
        if len(left) == 0:
            break
        if len(left) < len(todo):
            ball, todo = ball.take(left), todo[left]
    return _last_of_each(results)


def _ask(judge: Model, pixels: Tensor) -> Float32[Tensor, "n k"]:
    with torch.no_grad():
        return judge(pixels).float()


def _last_of_each(results: list[tuple[Tensor, Tensor]]) -> Float32[Tensor, "n k"]:
    """Write logits over each other, the first of which are of all images."""
    (_, logits), *others = results
    for rows, found in others:
        logits = logits.index_copy(0, rows, found)
    return logits
