"""Curves from few of their points: further ones are predicted where the area may still change."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ectool.faithfulness.predictions import Predictions

Predict = Callable[[Int[Tensor, "m"], Int[Tensor, "m"]], Predictions]
"""Predicts points of curves from the indices of the images and those of the points."""

FIRST_GAPS = 7
"""Number of gaps between the points that are predicted first: about every fourth point of 28."""


def adaptive(
    ends: Mapping[int, Predictions], points: int, predict: Predict, tolerance: float | None
) -> Predictions:
    """Predict points of curves until the area under each is known within a tolerance.

    A curve that only rises or falls between two predicted points ``w`` steps apart, by ``d`` in
    all, differs from the straight line between them by at most ``(w - 1) / 2 * d / (points - 1)``
    of area. In rounds, gaps are halved until the sum of these bounds is at most the tolerance, the
    widest bounds first. A bump inside a gap is not seen: such curves may have a larger error.

    Args:
        ends: Known points, by index: predictions of shape (n, 1). At least the first point.
        points: Number of points of a curve.
        predict: Predicts other points, of shape (m, 1).
        tolerance: Maximum sum of the bounds of a curve, as a share of the area of the unit square;
            None predicts every point.

    Returns:
        All points: the predicted ones, and between them probabilities on straight lines and the
        ``correct`` of the predicted point before.

    Cost: the forward passes of the predicted points; those of a round are batched over all images.
    """
    first = next(iter(ends.values()))
    shape, device = (len(first.probabilities), points), first.probabilities.device
    values = torch.zeros(shape, device=device)
    correct = torch.zeros(shape, dtype=torch.bool, device=device)
    known = torch.zeros_like(correct)
    for point, end in ends.items():
        values[:, point], correct[:, point] = end.probabilities[:, 0], end.correct[:, 0]
        known[:, point] = True
    wanted = torch.zeros_like(known)
    wanted[:, :: 1 if tolerance is None else max(1, (points - 1) // FIRST_GAPS)] = True
    wanted[:, -1] = True
    while (wanted := wanted & ~known).any():
        rows, columns = wanted.nonzero(as_tuple=True)
        found = predict(rows, columns)
        values[rows, columns], correct[rows, columns] = (
            found.probabilities[:, 0],
            found.correct[:, 0],
        )
        known |= wanted
        wanted = _middles(values, known, tolerance or 0.0)
    return _filled(values, correct, known)


def bounds(
    values: Float[Tensor, "n p"], known: Bool[Tensor, "n p"]
) -> tuple[Float[Tensor, "n p"], Int[Tensor, "n p"]]:
    """Return the bound of the area of the gap before each known point, and where the gap begins.

    0 at other points, and where no point lies between.
    """
    before = _known_before(known)
    at = torch.arange(known.shape[1], device=known.device)
    change = (values - values.gather(1, before)).abs()
    widths = (at - before - 1).clamp(min=0) * known
    return widths * change / (2 * (known.shape[1] - 1)), before


def _known_before(known: Tensor) -> Tensor:
    """Return the index of the last known point before each point; 0 at the first."""
    at = torch.arange(known.shape[1], device=known.device)
    last = (at * known).cummax(1).values
    return torch.cat([torch.zeros_like(last[:, :1]), last[:, :-1]], 1)


def _middles(values: Tensor, known: Tensor, tolerance: float) -> Tensor:
    """Return the middle points of the gaps with the widest bounds, all but those that may stay."""
    found, before = bounds(values, known)
    ascending, order = found.double().sort(dim=1, stable=True)
    is_wide = torch.zeros_like(known).scatter(1, order, ascending.cumsum(1) > tolerance)
    rows, ends = (is_wide & (found > 0)).nonzero(as_tuple=True)
    middles = torch.zeros_like(known)
    middles[rows, (before[rows, ends] + ends) // 2] = True
    return middles


def _filled(values: Tensor, correct: Tensor, known: Tensor) -> Predictions:
    """Draw straight lines between the known points."""
    length = known.shape[1]
    at = torch.arange(length, device=known.device).expand_as(known)
    last = (at * known).cummax(1).values
    after = torch.where(known, at, length - 1).flip(1).cummin(1).values.flip(1)
    share = (at - last) / (after - last).clamp(min=1)
    drawn = torch.lerp(values.gather(1, last), values.gather(1, after), share)
    return Predictions(torch.where(known, values, drawn), correct.gather(1, last))
