"""Auto-PGD: projected gradient ascent with an adaptive step size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ectool.attacks.ball import Ball, Pixels, enter, take
from ectool.attacks.losses import Losses
from ectool.attacks.objectives import Objective, Value, can_stop_early, value_and_gradient
from ectool.attacks.pgd import Settings

FIRST_STEP = 2.0
"""Length of the first steps, in radii."""
MOMENTUM = 0.75
RISES = 0.75
"""Required share of steps since the last checkpoint that increase the score."""
FIRST_PERIOD, PERIOD_DECREMENT, MIN_PERIOD = 0.22, 0.03, 0.06
"""Periods between checkpoints as shares of all steps: the first, its decrement, the minimum."""


@dataclass
class _Search:
    """State of the search for every image of the batch.

    Attributes:
        current: Start of the next step.
        previous: Start of the last step.
        momentum: Weight of the next step relative to the last one; 1 before the first.
        gradient: Gradient at `current`.
        length: Length of the next step.
        best: The image with the maximum score so far.
        best_gradient: Gradient at `best`.
        best_score: Score of `best`.
        last_score: Score of the last step; 0 before the first, as in the authors' code.
        rises: Number of steps that increased the score since the last checkpoint.
        known_best: Maximum score at the last checkpoint.
        was_halved: Whether the length was halved at the last checkpoint.
        last_success: The last image that was a success; arbitrary before the first.
        succeeded: Whether there was a success; False if only the score counts.
    """

    current: Pixels
    previous: Pixels
    momentum: float
    gradient: Pixels
    length: Float[Tensor, "n 1 1 1"]
    best: Pixels
    best_gradient: Pixels
    best_score: Losses
    last_score: Losses
    rises: Int64[Tensor, "n"]
    known_best: Losses
    was_halved: Bool[Tensor, "n"]
    last_success: Pixels
    succeeded: Bool[Tensor, "n"]

    def note(self, pixels: Pixels, gradient: Pixels, value: Value) -> None:
        """Record the result of a step."""
        score = value.score
        better = score > self.best_score
        self.best = _choose(better, pixels, self.best)
        self.best_gradient = _choose(better, gradient, self.best_gradient)
        self.best_score = torch.where(better, score, self.best_score)
        self.rises = self.rises + (score > self.last_score)
        self.current, self.previous = pixels, self.current
        self.gradient, self.last_score, self.momentum = gradient, score, MOMENTUM
        if value.success is not None:
            self.last_success = _choose(value.success, pixels, self.last_success)
            self.succeeded = self.succeeded | value.success

    def check(self, steps: int) -> None:
        """Halve the step and return to the best image where progress is too small."""
        oscillates = self.rises <= RISES * steps
        stalls = ~self.was_halved & (self.known_best >= self.best_score)
        halved = oscillates | stalls
        self.length = torch.where(halved[:, None, None, None], self.length / 2, self.length)
        self.current = _choose(halved, self.best, self.current)
        self.gradient = _choose(halved, self.best_gradient, self.gradient)
        self.was_halved, self.known_best = halved, self.best_score
        self.rises = torch.zeros_like(self.rises)

    def take(self, rows: Int64[Tensor, "m"]) -> _Search:
        """Return the state of some of the images."""
        of_each = {name: value for name, value in vars(self).items() if name != "momentum"}
        taken: dict[str, Any] = {name: take(value, rows) for name, value in of_each.items()}
        return replace(self, **taken)

    def result(self) -> Pixels:
        """Return the last success, or the image with the maximum score if there was none."""
        return _choose(self.succeeded, self.last_success, self.best)


def apgd(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Run Auto-PGD and return the best image (Croce & Hein 2020, arXiv 2003.01690).

    The best image has the maximum score; if the objective reports success, it is the last
    success, as in the authors' code. Deviation: successful images leave the batch at the next
    checkpoint, so they cost nothing more.

    ``z = project(x_t + length * direction(g_t))``,
    ``x_{t+1} = project(x_t + a * (z - x_t) + (1 - a) * (x_t - x_{t-1}))`` with a = 0.75, and 1 in
    the first step. The first length is ``2 * eps``. At a checkpoint the length is halved and the
    search returns to the best image, if the score increased in at most 3/4 of the steps since the
    last checkpoint, or if neither the best score nor the length has changed since then. This is
    decided per image; the host waits for the device only at checkpoints where images may leave.

    Deviations from the paper, as in the authors' code: the first checkpoint counts the first step
    as an increase if its score is positive, and a share of exactly 3/4 is too small.

    Args:
        ball: The feasible set.
        objective: The function to maximize.
        start: The start; a random point at distance eps in the paper.
        settings: ``steps``.

    Returns:
        Pixels in the ball.

    Cost: (steps + 1) × (forward + input-gradient pass); less for images that succeed.
    """
    search = _begin(ball, objective, enter(ball, start))
    ends = sorted({0, *checkpoints(settings.steps), settings.steps})
    return _run_periods(ball, objective, search, [end - begin for begin, end in pairwise(ends)])


def _run_periods(
    ball: Ball, objective: Objective, search: _Search, periods: Sequence[int]
) -> Pixels:
    """Run some periods, after each of which successful images leave; return the results."""
    if not periods:
        return search.result()
    for _ in range(periods[0]):
        pixels = _step(ball, search)
        value, gradient = value_and_gradient(objective, pixels)
        search.note(pixels, gradient, value)
    search.check(periods[0])
    if not can_stop_early(objective):
        return _run_periods(ball, objective, search, periods[1:])
    left = (~search.succeeded).nonzero()[:, 0]
    if len(left) == 0:
        return search.result()
    rest = _run_periods(ball.take(left), objective.take(left), search.take(left), periods[1:])
    return search.result().index_copy(0, left, rest)


def checkpoints(steps: int) -> set[int]:
    """Return the steps after which the step size is adapted: after 22 %, then more often.

    Args:
        steps: Total number of steps.
    """
    period, decrement, minimum = (
        max(int(s * steps), 1) for s in (FIRST_PERIOD, PERIOD_DECREMENT, MIN_PERIOD)
    )
    found, step = set(), period
    while step <= steps:
        found.add(step)
        period = max(period - decrement, minimum)
        step += period
    return found


def _begin(ball: Ball, objective: Objective, start: Pixels) -> _Search:
    value, gradient = value_and_gradient(objective, start)
    score = value.score
    return _Search(
        current=start,
        previous=start,
        momentum=1.0,
        gradient=gradient,
        length=score.new_full((len(score), 1, 1, 1), FIRST_STEP * ball.eps).to(start),
        best=start,
        best_gradient=gradient,
        best_score=score,
        last_score=torch.zeros_like(score),
        rises=torch.zeros_like(score, dtype=torch.int64),
        known_best=score,
        was_halved=torch.ones_like(score, dtype=torch.bool),
        last_success=start,
        succeeded=torch.zeros_like(score, dtype=torch.bool),
    )


def _step(ball: Ball, search: _Search) -> Pixels:
    """Return the pixels after the next step."""
    current, momentum = search.current, search.momentum
    target = ball.project_(current + search.length * ball.steepest(search.gradient))
    moved = current + (target - current) * momentum + (current - search.previous) * (1 - momentum)
    return ball.project_(moved)


def _choose(condition: Tensor, chosen: Pixels, other: Pixels) -> Pixels:
    return torch.where(condition[:, None, None, None], chosen, other)
