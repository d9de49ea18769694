from __future__ import annotations

import math

import pytest

from ectool.reports.content import Interval, compare

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "higher_is_better", "verdict"),
    [
        (0.1, 0.3, True, "better"),
        (0.1, 0.3, False, "worse"),
        (-0.3, -0.1, True, "worse"),
        (-0.3, -0.1, False, "better"),
        (-0.1, 0.3, True, None),
        (0.0, 0.3, True, None),
        (-0.3, 0.0, False, None),
        (0.0, 0.0, True, None),
        (NAN, NAN, True, None),
    ],
)
def test_only_an_interval_that_excludes_zero_is_judged(low, high, higher_is_better, verdict):
    difference = compare(Interval(0.2, low, high, 3), higher_is_better=higher_is_better)
    assert difference.verdict == verdict
    assert (difference.mean, difference.n) == (0.2, 3)


@pytest.mark.parametrize(("low", "high"), [(NAN, NAN), (-math.inf, math.inf), (0.1, NAN)])
def test_interval_without_bounds(low, high):
    assert not Interval(0.2, low, high, 1).bounded


def test_interval_with_bounds():
    assert Interval(0.2, 0.1, 0.3, 2).bounded
