"""Auto-PGD: projected ascent that chooses its own step size."""

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
from ectool.attacks.objectives import Objective, Value, tells_success, value_and_gradient
from ectool.attacks.pgd import Settings

FIRST_STEP = 2.0
"""Length of the first steps in radii."""
MOMENTUM = 0.75
RISES = 0.75
"""Share of the steps since the last checkpoint that have to raise the score."""
FIRST_LEG, SHORTER, LEAST_LEG = 0.22, 0.03, 0.06
"""Length of the first leg between checkpoints, by how much legs shrink, and the shortest, as
shares of all steps."""


@dataclass
class _Search:
    """Where the search stands, for every image of the batch.

    Attributes:
        current: Where the next step begins.
        previous: Where the last one began.
        momentum: Weight of the next step against that of the last one; 1 before the first.
        gradient: The gradient there.
        length: Length of the next step.
        best: The image of the greatest score so far.
        best_gradient: The gradient there.
        best_score: Its score.
        last_score: Score of the last step; 0 before the first, as in the authors' code.
        rises: How often the score rose since the last checkpoint.
        known_best: The greatest score at the last checkpoint.
        was_halved: Whether the length was halved at the last checkpoint.
        last_success: The last image that was a success; any other before the first.
        succeeded: Whether there was one; False where only the score counts.
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
        """Remember a step's result."""
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
        """Halve the step and go back to the best image where progress is too small."""
        oscillates = self.rises <= RISES * steps
        stalls = ~self.was_halved & (self.known_best >= self.best_score)
        halved = oscillates | stalls
        self.length = torch.where(halved[:, None, None, None], self.length / 2, self.length)
        self.current = _choose(halved, self.best, self.current)
        self.gradient = _choose(halved, self.best_gradient, self.gradient)
        self.was_halved, self.known_best = halved, self.best_score
        self.rises = torch.zeros_like(self.rises)

    def take(self, rows: Int64[Tensor, "m"]) -> _Search:
        """Return the search of some images."""
        of_each = {name: value for name, value in vars(self).items() if name != "momentum"}
        taken: dict[str, Any] = {name: take(value, rows) for name, value in of_each.items()}
        return replace(self, **taken)

    def result(self) -> Pixels:
        """Return the last success, or where there was none the image of the greatest score."""
        return _choose(self.succeeded, self.last_success, self.best)


def apgd(ball: Ball, objective: Objective, start: Pixels, settings: Settings) -> Pixels:
    """Climb with Auto-PGD and return the best image seen (Croce & Hein 2020, arXiv 2003.01690).

    The best is the one of the greatest score; where the objective tells of success, the last one
    that was a success, as in the authors' code. There, and other than in it, an image leaves the
    batch at the first checkpoint after a success, so that it costs nothing more.

    ``z = project(x_t + length * direction(g_t))``,
    ``x_{t+1} = project(x_t + a * (z - x_t) + (1 - a) * (x_t - x_{t-1}))`` with a = 0.75, and 1 in
    the first step. The length begins at ``2 * eps``. At checkpoints it is halved, and the search
    goes back to the best image, where the score rose in at most 3/4 of the steps since the last
    checkpoint, or where the best score and the length are as they were there. All of it is decided
    for each image; the device is waited for at checkpoints alone, where images may leave.

    As in the authors' code, and other than in the paper, the first checkpoint counts the first
    step as a rise where its score is positive, and the bound 3/4 itself does not suffice.

    Args:
        ball: Where the result has to lie.
        objective: What is raised.
        start: Where to begin; a random point at the distance eps in the paper.
        settings: ``steps``.

    Returns:
        Pixels in the ball.

    Cost: (steps + 1) × (forward + backward to the input), or less for a success.
    """
    search = _begin(ball, objective, enter(ball, start))
    ends = sorted({0, *checkpoints(settings.steps), settings.steps})
    return _climb(ball, objective, search, [end - begin for begin, end in pairwise(ends)])


def _climb(ball: Ball, objective: Objective, search: _Search, legs: Sequence[int]) -> Pixels:
    """Go on for some legs, after each of which those that succeeded leave; return the results."""
    if not legs:
        return search.result()
    for _ in range(legs[0]):
        ahead = _step(ball, search)
        value, gradient = value_and_gradient(objective, ahead)
        search.note(ahead, gradient, value)
    search.check(legs[0])
    if not tells_success(objective):
        return _climb(ball, objective, search, legs[1:])
    left = (~search.succeeded).nonzero()[:, 0]
    if len(left) == 0:
        return search.result()
    rest = _climb(ball.take(left), objective.take(left), search.take(left), legs[1:])
    return search.result().index_copy(0, left, rest)


def checkpoints(steps: int) -> set[int]:
    """Return after which steps the step size is decided on: after 22 %, then ever sooner.

    Args:
        steps: Number of all steps.
    """
    leg, shorter, least = (max(int(s * steps), 1) for s in (FIRST_LEG, SHORTER, LEAST_LEG))
    found, step = set(), leg
    while step <= steps:
        found.add(step)
        leg = max(leg - shorter, least)
        step += leg
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
    """Return where the next step leads."""
    current, momentum = search.current, search.momentum
    ahead = ball.project_(current + search.length * ball.steepest(search.gradient))
    moved = current + (ahead - current) * momentum + (current - search.previous) * (1 - momentum)
    return ball.project_(moved)


def _choose(condition: Tensor, ours: Pixels, theirs: Pixels) -> Pixels:
    return torch.where(condition[:, None, None, None], ours, theirs)
