from __future__ import annotations

import pytest

from ectool.metrics.bounds import Bound

ABOVE, BELOW = Bound("robust", ">=", 0.3, is_share=True), Bound("nll", "<=", 1.0, is_share=False)


@pytest.mark.parametrize(
    ("bound", "value", "is_met"),
    [
        (ABOVE, 0.3, True),
        (ABOVE, 0.29, False),
        (BELOW, 1, True),
        (BELOW, 1.001, False),
        (ABOVE, None, False),
        (BELOW, None, False),
        (BELOW, float("nan"), False),
    ],
)
def test_the_bound_itself_meets_it_and_an_undefined_value_does_not(bound, value, is_met):
    assert bound.is_met(value) == is_met
    assert (bound.missed_by(value) is None) == is_met


def test_an_upper_bound_meets_no_minimum_and_any_maximum_above_it():
    assert ABOVE.missed_by(0.4, "no gradient") == "no more than an upper bound, 40 %: no gradient"
    assert BELOW.missed_by(0.4, "no gradient") is None
    assert BELOW.missed_by(1.4, "no gradient") == "1.4"


def test_shares_are_written_in_percent():
    assert (ABOVE.written(0.295), BELOW.written(0.295)) == ("29.5 %", "0.295")
    assert ABOVE.written(None) == "undefined"
