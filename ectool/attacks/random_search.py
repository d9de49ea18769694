"""Square Attack: random search without gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from ectool.attacks.ball import Ball, LinfBall, Pixels
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.random_start import Stream

FIRST_SHARE = 0.8
"""Share of the image that the first squares cover, as in the reference implementations."""
HALVINGS = (0.001, 0.005, 0.02, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the queries after which the covered share is halved, as in the paper."""


@dataclass(frozen=True)
class _Draws:
    """Random numbers of every image: position and signs of each query's square."""

    corner: Float[Tensor, "n q 2"]
    sign: Float[Tensor, "n q c"]
    stripes: Float[Tensor, "n c 1 w"]


def random_search(
    ball: Ball, objective: LabelLoss, streams: Sequence[Stream], queries: int
) -> Pixels:
    """Keep changes of random squares that increase the loss (Andriushchenko et al. 2020).

    In the L-infinity ball this is Square Attack (arXiv 1912.00049): from vertical stripes of
    ``clean +- eps``, each query sets a square to ``clean +- eps``, with one random sign per
    channel; the squares shrink. Deviation: the L2 ball is searched in the same way; a square of
    length eps is added, and the sum is projected. The attack uses no gradient, so gradient
    masking does not protect a network from it.

    Args:
        ball: The feasible set.
        objective: The loss to maximize; images that are already misclassified stay unchanged.
        streams: Random number generators, one per image.
        queries: Number of queries per image.

    Returns:
        Pixels in the ball.

    Cost: queries + 1 forward passes; fewer for images that become misclassified.
    """
    draws = _draw(streams, queries, ball.clean)
    current = _start(ball, draws)
    score, done = _evaluate(objective, current)
    for query in range(queries):
        todo = (~done).nonzero()[:, 0]
        if len(todo) == 0:
            break
        part = ball.take(todo)
        tried = _try(part, current[todo], draws, todo, query, queries)
        found, success = _evaluate(objective.take(todo), tried)
        better = (found > score[todo]) | success
        kept = torch.where(better[:, None, None, None], tried, current[todo])
        current = current.index_copy(0, todo, kept)
        score = score.index_copy(0, todo, torch.where(better, found, score[todo]))
        done = done.index_copy(0, todo, success)
    return current


def side_of(query: int, queries: int, size: tuple[int, int]) -> int:
    """Return the side of a query's square in pixels.

    Args:
        query: Index of the query, from 0.
        queries: Number of queries.
        size: (height, width) of the image.
    """
    halved = sum(query > share * queries for share in HALVINGS)
    area = FIRST_SHARE / 2**halved * size[0] * size[1]
    return min(max(round(math.sqrt(area)), 1), *size)


def _draw(streams: Sequence[Stream], queries: int, clean: Pixels) -> _Draws:
    colors, width = clean.shape[1], clean.shape[3]
    lines = [stream.random((colors, 1, width), dtype=np.float32) for stream in streams]
    stripes = _signs(torch.from_numpy(np.stack(lines)).to(clean.device))
    rows = [stream.random((queries, 2 + colors), dtype=np.float32) for stream in streams]
    places = torch.from_numpy(np.stack(rows)).to(clean.device)
    return _Draws(places[:, :, :2], _signs(places[:, :, 2:]), stripes)


def _signs(values: Float32[Tensor, "*any"]) -> Float32[Tensor, "*any"]:
    return torch.where(values < 0.5, -1.0, 1.0)


def _start(ball: Ball, draws: _Draws) -> Pixels:
    return ball.project_(ball.clean + ball.eps * draws.stripes.to(ball.clean.dtype))


def _try(
    ball: Ball, current: Pixels, draws: _Draws, rows: Tensor, query: int, queries: int
) -> Pixels:
    """Return the images, each with one more square."""
    height, width = current.shape[2:]
    side = side_of(query, queries, (height, width))
    inside = _squares(draws.corner[rows, query], side, (height, width))
    change = draws.sign[rows, query][:, :, None, None].to(current.dtype)
    if isinstance(ball, LinfBall):
        return ball.project_(torch.where(inside, ball.clean + ball.eps * change, current))
    length = ball.eps / (side * current.shape[1] ** 0.5)
    return ball.project_(torch.where(inside, current + length * change, current))


def _squares(
    corner: Float[Tensor, "n 2"], side: int, size: tuple[int, int]
) -> Bool[Tensor, "n 1 h w"]:
    """Return masks of squares inside the image; corners are shares of the possible positions."""
    marks = []
    for axis, length in enumerate(size):
        first = (corner[:, axis] * (length - side + 1)).floor()[:, None]
        place = torch.arange(length, device=corner.device)
        marks.append((place >= first) & (place < first + side))
    return (marks[0][:, :, None] & marks[1][:, None, :])[:, None]


def _evaluate(objective: LabelLoss, pixels: Pixels) -> tuple[Float[Tensor, "n"], Bool[Tensor, "n"]]:
    """Return the loss of each image, and whether it is misclassified."""
    with torch.no_grad():
        value = objective(pixels)
    if value.success is None:
        raise ValueError("the objective must report success")
    return value.score, value.success
