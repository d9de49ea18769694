from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectool.metrics.bounds import Bound, Comparison
from ectool.types import Estimate

NAN = float("nan")
ABOVE, BELOW = Bound("robust", ">=", 0.3, is_share=True), Bound("nll", "<=", 1.0, is_share=False)


def of(value, low=NAN, high=NAN):
    return Estimate(value, low, high, 10)


@pytest.mark.parametrize(
    ("bound", "value", "is_met"),
    [
        (ABOVE, 0.3, True),
        (ABOVE, 0.29, False),
        (BELOW, 1.0, True),
        (BELOW, 1.001, False),
        (ABOVE, NAN, False),
        (BELOW, NAN, False),
    ],
)
def test_the_bound_itself_meets_it_and_an_undefined_value_does_not(bound, value, is_met):
    assert bound.is_met(value) == is_met
    assert (bound.missed_by(of(value)) is None) == is_met


def test_an_upper_bound_meets_no_minimum_and_any_maximum_above_it():
    found = ABOVE.missed_by(of(0.4), "no gradient")
    assert found == "no more than an upper bound, 40 %: no gradient"
    assert BELOW.missed_by(of(0.4), "no gradient") is None
    assert BELOW.missed_by(of(1.4), "no gradient") == "1.4"


@pytest.mark.parametrize(
    ("sign", "end", "missed"),
    [
        (">=", "low", "20 %"),
        (">=", "value", None),
        (">=", "high", None),
        ("<=", "low", None),
        ("<=", "high", "60 %"),
    ],
)
def test_ends_of_the_interval_have_to_meet_their_bound(sign, end, missed):
    bound = Bound("robust", sign, 0.4, is_share=True, end=end)
    assert bound.missed_by(of(0.4, 0.2, 0.6)) == missed
    assert bound.missed_by(of(0.4)) == (None if end == "value" else "undefined")


def test_shares_are_written_in_percent():
    assert (ABOVE.written(0.295), BELOW.written(0.295)) == ("29.5 %", "0.295")
    assert ABOVE.written(NAN) == "undefined"
    assert ABOVE.interval(of(0.4, 0.2, 0.6)) == "[20, 60]"
    spread = Estimate(0.4, 0.2, 0.6, 3, "spread")
    assert BELOW.interval(spread, signed=True) == "spread [+0.2, +0.6]"


def test_texts_can_be_read_again():
    assert ABOVE.text == "robust >= 30 %"
    relative = Bound("nll", "<=", 0.1, is_share=False, end="low", is_relative=True)
    assert relative.text == "nll.low <= baseline + 0.1"
    assert Bound("a", ">=", -0.01, is_share=True, is_relative=True).right == ">= baseline - 1 %"
    assert Bound("a", ">=", 0.0, is_share=True, is_relative=True).right == ">= baseline"


def compared(value, low, high, p_value=0.001, confidence=0.95):
    return Comparison(0.9, of(value, low, high), "McNemar", p_value, confidence)


def relative(sign, margin, end="test"):
    return Bound("accuracy", sign, margin, is_share=True, end=end, is_relative=True)


class TestBaseline:
    @pytest.mark.parametrize(
        ("margin", "found", "is_missed"),
        [
            (0.0, compared(-0.05, -0.08, -0.02), True),
            (-0.01, compared(-0.05, -0.08, -0.02), True),
            (-0.02, compared(-0.05, -0.08, -0.02), False),  # the end itself meets it
            (0.0, compared(-0.05, -0.11, 0.01, 0.08), False),  # may be noise
            (0.0, compared(-0.05, -0.09, -0.001, 0.06), False),  # the test is more conservative
            (0.02, compared(0.0, -0.01, 0.01, 1.0), True),  # no better, but it has to be
            (0.02, compared(0.05, 0.03, 0.07), False),
            (0.02, compared(0.0, -0.03, 0.03, 1.0), False),  # too few samples to tell
        ],
    )
    def test_only_more_than_noise_misses(self, margin, found, is_missed):
        assert (relative(">=", margin).missed_against(found) is not None) == is_missed
        other = compared(
            -found.difference.value,
            -found.difference.high,
            -found.difference.low,
            found.p_value,
        )
        assert (relative("<=", -margin).missed_against(other) is not None) == is_missed

    @pytest.mark.parametrize(("end", "is_missed"), [("low", True), ("value", False)])
    def test_other_ends_are_compared_themselves(self, end, is_missed):
        found = compared(0.005, -0.02, 0.03, 0.6)
        assert (relative(">=", 0.0, end).missed_against(found) is not None) == is_missed

    def test_p_values_have_the_level_of_the_interval(self):
        found = compared(-0.05, -0.09, -0.001, 0.03)
        assert relative(">=", 0.0).missed_against(found) is not None
        corrected = compared(-0.05, -0.09, -0.001, 0.03, confidence=0.975)
        assert relative(">=", 0.0).missed_against(corrected) is None

    def test_without_an_interval_the_value_counts(self):
        assert relative(">=", -0.1).missed_against(compared(-0.05, NAN, NAN, NAN)) is None
        missed = relative(">=", 0.0).missed_against(compared(-0.05, NAN, NAN, NAN))
        assert missed == "-5 points against 90 %"
        assert relative(">=", 0.0).missed_against(compared(NAN, NAN, NAN, NAN)) == "undefined"

    def test_what_was_found_is_named(self):
        missed = relative(">=", 0.0).missed_against(compared(-0.05, -0.08, -0.02))
        assert missed == "-5 points [-8, -2] against 90 %, p = 0.001"

    @given(st.floats(-0.2, 0.2), st.floats(0, 0.1), st.floats(0, 1))
    def test_a_wider_margin_never_misses_more(self, value, half, p_value):
        found = compared(value, value - half, value + half, p_value)
        margins = [-0.3, -0.1, -0.01, 0.0, 0.01, 0.1, 0.3]
        missed = [relative(">=", margin).missed_against(found) is not None for margin in margins]
        assert missed == sorted(missed)
