from __future__ import annotations

import numpy as np
import pytest

from ectool.metrics.curves import area_over_curve, area_under_curve, mean_of_curve

CURVES = np.array([[1.0, 0.5, 0.5], [0.0, 0.5, 1.0]])


def test_the_area_is_that_of_trapezoids_over_the_width():
    found = area_under_curve(CURVES, [0.1, 0.3, 0.7])
    expected = [(0.75 * 0.2 + 0.5 * 0.4) / 0.6, (0.25 * 0.2 + 0.75 * 0.4) / 0.6]
    assert found == pytest.approx(expected)


def test_points_are_evenly_spaced_unless_positions_are_given():
    found = area_under_curve(CURVES)
    assert found.tolist() == [0.625, 0.5]
    assert found == pytest.approx(area_under_curve(CURVES, [2.0, 4.0, 6.0]))


def test_the_area_over_a_curve_is_the_mean_drop_below_its_first_point():
    assert area_over_curve(CURVES) == pytest.approx([1 / 3, -0.5])


def test_the_mean_is_that_of_the_points():
    assert mean_of_curve(CURVES) == pytest.approx([2 / 3, 0.5])
