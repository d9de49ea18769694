from __future__ import annotations

import re

import pytest

from ectool.errors import UsageError
from ectool.metrics.bounds import Bound
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.gates.parse import ALIASES, parse_bound, parse_bounds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("robust@2/255>=30", Bound("robust@2/255", ">=", 0.3, is_share=True)),
        (" bg_gap <= 10 % ", Bound("background_gap", "<=", 0.1, is_share=True)),
        ("background_gap<=0.5%", Bound("background_gap", "<=", 0.005, is_share=True)),
        ("bg_gap<=-5", Bound("background_gap", "<=", -0.05, is_share=True)),
        ("bg_gap<=0", Bound("background_gap", "<=", 0.0, is_share=True)),
        ("accuracy>=1e1", Bound("accuracy@original", ">=", 0.1, is_share=True)),
        ("nll<=0.5", Bound("nll", "<=", 0.5, is_share=False)),
        ("accuracy.low>=90", Bound("accuracy@original", ">=", 0.9, is_share=True, end="low")),
        ("robust@l2-0.5.high<=3%", Bound("robust@l2-0.5", "<=", 0.03, is_share=True, end="high")),
        ("accuracy@replaced-0.25>=3", Bound("accuracy@replaced-0.25", ">=", 0.03, is_share=True)),
        ("nll.value<=2", Bound("nll", "<=", 2.0, is_share=False)),
    ],
)
def test_reading_bounds(text, expected):
    assert parse_bound(text) == expected


@pytest.mark.parametrize(
    ("text", "margin", "end"),
    [
        ("accuracy>=baseline", 0, "test"),
        ("accuracy>=baseline-1", -0.01, "test"),
        ("accuracy >= baseline - 0.5 %", -0.005, "test"),
        ("accuracy.low>=baseline+2%", 0.02, "low"),
        ("accuracy.value>=baseline", 0, "value"),
    ],
)
def test_margins_to_a_baseline(text, margin, end):
    found = parse_bound(text)
    assert (found.number, found.end, found.is_relative) == (pytest.approx(margin), end, True)
    assert parse_bound("nll<=baseline+0.1").number == 0.1


@pytest.mark.parametrize("margin", ["1", "-", "--1", "%", "s", "-inf", "-1-1", "+a", "*1.1"])
def test_margins_that_are_none(margin):
    with pytest.raises(UsageError, match="expected METRIC<=NUMBER or METRIC>=NUMBER"):
        parse_bound(f"nll<=baseline{margin}")


def test_a_margin_that_may_be_meant_either_way_is_refused_with_both_spellings():
    both = "write accuracy>=baseline-50 for the share -0.5, or accuracy>=baseline-0.5% for -0.5 pe"
    with pytest.raises(UsageError, match=re.escape(both)):
        parse_bound("accuracy>=baseline-0.5")


def test_a_bound_that_needs_a_baseline():
    texts, suites = ("accuracy>=1", "nll<=baseline+0.1"), ("classification",)
    with pytest.raises(UsageError, match=r"got 'nll <= baseline [+] 0.1'; add --baseline EVAL"):
        parse_bounds(texts, suites)
    assert len(parse_bounds(texts, suites, has_baseline=True)) == 2


@pytest.mark.parametrize(
    "text", ["nll", "nll>1", "nll>=b", ">=1", "nll>=", "", "nll>=nan", "nll<=1 2"]
)
def test_bounds_that_are_none(text):
    with pytest.raises(UsageError, match="expected METRIC<=NUMBER or METRIC>=NUMBER"):
        parse_bound(text)


@pytest.mark.parametrize(("number", "percent"), [("0.1", "10"), ("-0.25", "-25"), (".5", "50")])
def test_a_share_that_may_be_meant_either_way_is_refused_with_both_spellings(number, percent):
    both = f"write bg_gap<={percent} for the share {float(number):g}, or bg_gap<={number}% for "
    with pytest.raises(UsageError, match=re.escape(both)):
        parse_bound(f"bg_gap<={number}")


def test_percent_of_what_is_no_share():
    with pytest.raises(UsageError, match="expected a plain number for nll, which is not a share"):
        parse_bound("nll<=5%")


def test_names_that_cannot_be_a_metric():
    with pytest.raises(UsageError, match="got 'backgroundgap'; write 'background_gap'"):
        parse_bound("backgroundgap<=10")
    with pytest.raises(UsageError, match=r"got 'accuracy\.lower'; write 'accuracy@original'"):
        parse_bound("accuracy.lower>=90")
    with pytest.raises(UsageError, match="got 'beauty'; name one of them"):
        parse_bound("beauty>=1")
    with pytest.raises(UsageError, match="got 'robust'; write 'robust@RADIUS'"):
        parse_bound("robust>=30")
    with pytest.raises(UsageError, match="got 'insertion@edge'; write 'insertion'"):
        parse_bound("insertion@edge>=30")
    with pytest.raises(UsageError, match="got 'accuracy@replaced-much'"):
        parse_bound("accuracy@replaced-much>=50")


def test_other_names_are_of_metrics_that_there_are():
    for name in ALIASES.values():
        describe(name)


def test_bounds_of_the_suites_that_are_measured():
    texts = ("accuracy>=50", "bg_gap<=10", "accuracy@mixed_rand>=40")
    found = parse_bounds(texts, ("classification", "debiasing"))
    assert found == [parse_bound(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "metric", "suite"),
    [
        ("bg_gap<=10", "background_gap", "debiasing"),
        ("accuracy@mixed_rand>=40", "accuracy@mixed_rand", "debiasing"),
        ("robust@2/255>=30", "robust@2/255", "robustness"),
    ],
)
def test_a_bound_of_a_suite_that_is_not_measured(text, metric, suite):
    message = (
        f"--require: expected a metric of classification, sanity, got '{metric}' of {suite}; "
        f"add {suite} to --suite"
    )
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        parse_bounds(("nll<=1", text), ("classification", "sanity"))
