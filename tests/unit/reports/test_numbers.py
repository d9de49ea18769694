from __future__ import annotations

import math

import pytest

from ectool.reports.content import Difference
from ectool.reports.numbers import bounds, mark, p_value, percent, plain, quantity, table_value
from ectool.types import Estimate

NAN = float("nan")


@pytest.mark.parametrize(
    ("share", "signed", "text"),
    [
        (0.6423, False, "64.2"),
        (0.6423, True, "+64.2"),
        (-0.05, True, "\N{MINUS SIGN}5.0"),
        (-0.0001, True, "\N{MINUS SIGN}0.0"),
        (0.0001, True, "+0.0"),
        (-0.0001, False, "0.0"),
        (0.0, True, "0.0"),
        (1.0, False, "100.0"),
        (NAN, True, "-"),
        (math.inf, False, "-"),
    ],
)
def test_percent(share, signed, text):
    assert percent(share, signed=signed) == text


def test_bounds():
    assert bounds(Estimate(0.1, 0.05, 0.15, 3)) == "[5.0, 15.0]"
    assert bounds(Estimate(0.1, -0.05, 0.25, 3), signed=True) == "[\N{MINUS SIGN}5.0, +25.0]"
    assert bounds(Estimate(0.1, NAN, NAN, 1)) == "-"
    assert bounds(Estimate(0.1, 0.05, 0.15, 3, "spread")) == "spread [5.0, 15.0]"


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [(0.4567, False, "0.457"), (1.2, True, "+1.200"), (-0.05, True, "\N{MINUS SIGN}0.050")],
)
def test_other_numbers_have_three_decimals(value, signed, text):
    assert quantity(value, is_share=False, signed=signed) == text
    assert quantity(value, signed=signed) == percent(value, signed=signed)
    interval = Estimate(value, value, value, 3)
    assert bounds(interval, is_share=False, signed=signed) == f"[{text}, {text}]"


@pytest.mark.parametrize(("verdict", "word"), [("better", "better"), ("worse", "worse")])
def test_marks_are_a_symbol_and_a_word(verdict, word):
    symbol, text = mark(Difference(0.1, 0.05, 0.15, 3, verdict=verdict)).split()
    assert text == word
    assert not symbol.isalnum()


def test_no_mark_without_verdict():
    assert mark(Difference(0.1, -0.05, 0.25, 3)) == ""


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.00"), (0.256, "0.26"), (0.00123, "0.0012"), (NAN, "-")]
)
def test_plain(value, text):
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0421, "0.042"), (0.0004, "<0.001"), (1.0, "1.000"), (float("nan"), "-")],
)
def test_p_values(value, text):
    assert p_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.25, "0.250"), (3, "3"), ("<b>", "<b>")],
)
def test_values_of_tables(value, text):
    assert table_value(value) == text
