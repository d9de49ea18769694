"""Repeat an attack until images are misclassified, to measure its success."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float32
from torch import Tensor

from ectool.attacks.ball import Ball
from ectool.attacks.objectives import LabelLoss, Model
from ectool.attacks.perturbation import AttackFunction
from ectool.attacks.pgd import Settings

Start = Callable[[Ball, Tensor, int], Tensor]
"""Maps a ball, the indices of its images and the index of the attempt to the start."""


def until_misclassified(
    method: AttackFunction,
    ball: Ball,
    objectives: Sequence[LabelLoss],
    start: Start,
    settings: Settings,
    *,
    evaluation_model: Model,
    restarts: int = 1,
) -> Float32[Tensor, "n k"]:
    """Attack each image until the evaluation model misclassifies a result.

    Each restart maximizes every objective, such as the losses of several targets. Misclassified
    images leave the batch; this does not change the results of the others beyond the arithmetic of
    the device. Results are not rounded to grey levels, because rounding would undo small radii: an
    L2 radius of 0.5 is a third of a level per value at 224 px. Use this to measure success only;
    samples for training must come from attacks with a fixed number of steps.

    Args:
        method: The attack.
        ball: The feasible set.
        objectives: The objectives to maximize, one after the other; all have the same labels.
        start: Returns the start of an attempt.
        settings: Settings of the attack.
        evaluation_model: The model that must misclassify the result.
        restarts: Number of attempts per objective, at least 1.

    Returns:
        Logits of the evaluation model for each image: of the first misclassified result, or of the
        last result.

    Cost per image: the attack and 1 forward pass per attempt, until it is misclassified; one
    synchronization with the device per attempt, in addition to those of the attack.
    """
    todo = torch.arange(len(ball.clean), device=ball.clean.device)
    results: list[tuple[Tensor, Tensor]] = []
    for attempt, objective in enumerate([*objectives] * restarts):
        if len(todo) < len(objective.labels):
            objective = objective.take(todo)
        logits = _run_model(
            evaluation_model, method(ball, objective, start(ball, todo, attempt), settings)
        )
        results.append((todo, logits))
        left = (~objective.is_misclassified(logits)).nonzero()[:, 0]
        if len(left) == 0:
            break
        if len(left) < len(todo):
            ball, todo = ball.take(left), todo[left]
    return _last_of_each(results)


def _run_model(model: Model, pixels: Tensor) -> Float32[Tensor, "n k"]:
    with torch.no_grad():
        return model(pixels).float()


def _last_of_each(results: list[tuple[Tensor, Tensor]]) -> Float32[Tensor, "n k"]:
    """Return the last logits of each image; the first result covers all images."""
    (_, logits), *others = results
    for rows, later in others:
        logits = logits.index_copy(0, rows, later)
    return logits
