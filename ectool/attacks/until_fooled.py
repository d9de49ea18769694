"""Measuring success: attack again and again, and leave out the pictures that are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ectool.attacks.ball import Ball
from ectool.attacks.objectives import LabelLoss, Model
from ectool.attacks.perturbation import Method, Perturbed, finish
from ectool.attacks.pgd import Settings

Start = Callable[[Ball, Tensor, int], Tensor]
"""Maps a ball, the numbers of its pictures and that of the restart to where it begins."""
Fooled = Callable[[Tensor, Tensor], Tensor]
"""Maps the judge's logits and the numbers of their pictures to whether it is fooled."""


def until_fooled(
    method: Method,
    ball: Ball,
    objective: LabelLoss,
    start: Start,
    settings: Settings,
    *,
    judge: Model,
    fooled: Fooled,
    restarts: int = 1,
    every: int | None = None,
) -> Perturbed:
    """Attack each picture until one of its results fools the judge.

    Pictures that are done leave the batch; no other one's result depends on that, beyond the
    arithmetic of the device. With ``every`` each restart is cut into legs of so many steps, and the
    rounded picture at the end of each leg is a result too. This measures success; samples to learn
    from have to come from attacks of one length.

    Args:
        method: The attack; with ``every`` one that may be cut into legs, such as pgd.
        ball: Where the results have to lie.
        objective: What is raised.
        start: Where a restart begins.
        settings: How the attack goes about it.
        judge: The model that has to be fooled.
        fooled: Whether it is.
        restarts: How many starts are tried, at least 1.
        every: Steps of a leg, at least 1; all of them unless given.

    Returns:
        Of every picture the first result that fools the judge, or else its last one.

    Cost: for each picture that of the attack and 1 forward per leg, until it is fooled. One wait
    for the device per leg.
    """
    todo = torch.arange(len(ball.clean), device=ball.clean.device)
    results: list[tuple[Tensor, Perturbed]] = []
    for restart in range(restarts):
        current = start(ball, todo, restart)
        for leg in _legs(settings, every):
            pixels = method(ball, objective, current, leg)
            found = finish(ball, pixels, judge, objective.allows)
            results.append((todo, found))
            left = (~fooled(found.logits, todo)).nonzero()[:, 0]
            if len(left) == 0:
                return _last_of_each(results)
            if len(left) < len(todo):
                ball, objective = ball.take(left), objective.take(left)
            todo, current = todo[left], pixels[left]
    return _last_of_each(results)


def _legs(settings: Settings, every: int | None) -> Iterator[Settings]:
    """Yield the settings of each leg, whose steps add up to those of the attack."""
    steps = max(settings.steps, 1)  # an attack without steps has a result too
    for first in range(0, steps, every or steps):
        yield replace(settings, steps=min(every or steps, settings.steps - first))


def _last_of_each(results: list[tuple[Tensor, Perturbed]]) -> Perturbed:
    """Write results over each other, the first of which is of all pictures."""
    (_, first), *others = results
    images, logits = first.images.clone(), first.logits.clone()
    for rows, found in others:
        images[rows], logits[rows] = found.images, found.logits
    return Perturbed(images, logits)
