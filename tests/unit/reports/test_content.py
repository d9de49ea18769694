from __future__ import annotations

import math

import pytest

from ectool.reports.content import compare
from ectool.types import Estimate

NAN = float("nan")


@pytest.mark.parametrize(
    ("mean", "p_holm", "higher_is_better", "verdict"),
    [
        (0.2, 0.01, True, "better"),
        (0.2, 0.01, False, "worse"),
        (-0.2, 0.01, True, "worse"),
        (-0.2, 0.01, False, "better"),
        (0.2, 0.05, True, None),
        (0.2, 0.3, True, None),
        (0.0, 0.01, True, None),
        (0.2, NAN, True, None),
    ],
)
def test_only_a_corrected_p_value_below_the_level_is_judged(
    mean, p_holm, higher_is_better, verdict
):
    difference = compare(
        Estimate(mean, 0.1, 0.3, 3), higher_is_better=higher_is_better, p_value=0.001, p_holm=p_holm
    )
    assert difference.verdict == verdict
    assert (difference.value, difference.n, difference.p_value) == (mean, 3, 0.001)


@pytest.mark.parametrize(("low", "high"), [(NAN, NAN), (-math.inf, math.inf), (0.1, NAN)])
def test_interval_without_bounds(low, high):
    assert not Estimate(0.2, low, high, 1).bounded


def test_interval_with_bounds():
    assert Estimate(0.2, 0.1, 0.3, 2).bounded
