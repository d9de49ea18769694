"""Curves from few points against all of their points, and against a loop over the gaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from ectool.faithfulness.adaptive import FIRST_GAPS, adaptive, bounds
from ectool.faithfulness.curves import deletion, insertion, pixel_flipping
from ectool.faithfulness.predictions import Predictions
from ectool.metrics.curves import area_under_curve

POINTS = [2, 3, 8, 29, 101]


def followed(curves, tolerance, *, is_end_known=True):
    """Return the filled curves, and which of their points were predicted."""
    asked = torch.zeros(curves.shape, dtype=torch.bool)

    def predict(rows, points):
        assert not asked[rows, points].any()
        asked[rows, points] = True
        found = curves[rows, points][:, None]
        return Predictions(found, found > 0.5)

    known = (0, curves.shape[1] - 1) if is_end_known else (0,)
    ends = {at: Predictions(curves[:, [at]], curves[:, [at]] > 0.5) for at in known}
    made = adaptive(ends, curves.shape[1], predict, tolerance)
    asked[:, list(known)] = True
    return made, asked


def gap_by_gap(curve, tolerance):
    """Refine one curve in plain Python; return the points that are predicted."""
    last = len(curve) - 1
    points = sorted({*range(0, last + 1, max(1, last // FIRST_GAPS)), 0, last})
    while True:
        gaps = [
            ((b - a - 1) / 2 * abs(curve[b] - curve[a]) / last, a, b) for a, b in pairwise(points)
        ]
        spent, halved = 0.0, []
        for bound, a, b in sorted(gaps):
            spent += bound
            if spent > tolerance and bound > 0:
                halved.append((a + b) // 2)
        if not halved:
            return points
        points = sorted([*points, *halved])


def drawn(kind, points, count=40, seed=0):
    random = np.random.default_rng(seed)
    steps = random.exponential(size=(count, points)) ** 3
    curves = np.cumsum(steps, 1) / steps.sum(1, keepdims=True)
    if kind == "falling":
        curves = 1 - curves
    if kind == "any":
        curves = random.random((count, points))
    return torch.from_numpy(curves).float()


@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("kind", ["rising", "falling", "any"])
@pytest.mark.parametrize("tolerance", [0.1, 0.01, 0.001])
def test_the_points_are_those_of_a_loop(points, kind, tolerance):
    curves = drawn(kind, points)
    made, asked = followed(curves, tolerance)
    for row, curve in enumerate(curves.double().numpy()):
        at = gap_by_gap(curve, tolerance)
        assert asked[row].nonzero()[:, 0].tolist() == at
        np.testing.assert_allclose(
            made.probabilities[row], np.interp(np.arange(points), at, curve[at]), atol=1e-6
        )
        before = [max(p for p in at if p <= point) for point in range(points)]
        assert made.correct[row].tolist() == (curves[row][before] > 0.5).tolist()


@pytest.mark.parametrize("points", POINTS)
@pytest.mark.parametrize("kind", ["rising", "falling"])
@pytest.mark.parametrize("tolerance", [0.05, 0.01, 0.002])
@pytest.mark.parametrize("is_end_known", [True, False])
def test_the_area_of_monotone_curves_is_within_the_tolerance(points, kind, tolerance, is_end_known):
    curves = drawn(kind, points, count=200, seed=1)
    made, asked = followed(curves, tolerance, is_end_known=is_end_known)
    areas = (area_under_curve(one.double().numpy()) for one in (made.probabilities, curves))
    assert np.abs(np.subtract(*areas)).max() <= tolerance + 1e-6
    found, _ = bounds(made.probabilities, asked)
    assert found.sum(1).max() <= tolerance + 1e-6
    if points == 101 and tolerance == 0.05:
        assert asked.float().mean() < 0.2


@pytest.mark.parametrize("tolerance", [None, 1e-12])
@pytest.mark.parametrize("is_end_known", [True, False])
def test_without_a_tolerance_every_point_is_predicted(tolerance, is_end_known):
    curves = drawn("any", 29)
    made, asked = followed(curves, tolerance, is_end_known=is_end_known)
    assert asked.all()
    assert torch.equal(made.probabilities, curves)
    assert torch.equal(made.correct, curves > 0.5)


def test_flat_curves_need_the_first_points_only():
    _, asked = followed(torch.full((3, 29), 0.25), 1e-12)
    assert asked.sum(1).tolist() == [8, 8, 8]


@pytest.mark.parametrize("measure", [deletion, insertion, pixel_flipping])
def test_measures_have_fewer_passes_and_the_same_curve(measure, explained, model, heatmaps):
    given = {"patch": 2} if measure is pixel_flipping else {}
    full = measure(explained, heatmaps, **given)
    passes: list[int] = []
    handle = model.register_forward_hook(lambda _m, _a, output: passes.append(len(output)))
    try:
        few = measure(explained, heatmaps, tolerance=0.02, **given)
    finally:
        handle.remove()
    assert sum(passes) < 0.7 * (full.probabilities.shape[1] - 2) * len(heatmaps)
    assert torch.equal(few.shares, full.shares)
    areas = [area_under_curve(one.probabilities.double().numpy()) for one in (few, full)]
    np.testing.assert_allclose(*areas, atol=0.04)
    alone = measure(explained, heatmaps, tolerance=1e-12, **given)
    torch.testing.assert_close(alone.probabilities, full.probabilities)
