from __future__ import annotations

import re
from pathlib import Path

import pytest

from ectool.errors import QualityGateError, UsageError
from ectool.metrics.bounds import Bound
from ectool.stages.evaluate.definitions import describe
from ectool.stages.evaluate.gates import ALIASES, check_bounds, parse_bound, parse_bounds

WHERE = Path("eval/results.json")


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
    ],
)
def test_reading_bounds(text, expected):
    assert parse_bound(text) == expected


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


METRICS = {
    "background_gap": {"value": 0.3},
    "nll": {"value": 1.25},
    "mask_iou": {"value": None},
    "accuracy@original": {"value": 29 / 100},
}


class TestChecking:
    @pytest.mark.parametrize("text", ["bg_gap<=30", "bg_gap>=30%", "nll>=1.25", "accuracy>=29"])
    def test_bounds_are_met_by_the_number_itself(self, text):
        check_bounds(METRICS, [parse_bound(text)], WHERE)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("bg_gap<=10", "background_gap: expected <= 10 %, got 30 %; see eval/results.json"),
            ("nll<=1", "nll: expected <= 1, got 1.25; see"),
            ("mask_iou>=0", "mask_iou: expected >= 0 %, got undefined"),
        ],
    )
    def test_the_first_bound_that_is_missed_is_named(self, text, message):
        bounds = [parse_bound("nll>=0"), parse_bound(text), parse_bound("nll<=0")]
        with pytest.raises(QualityGateError, match="^" + re.escape(message)):
            check_bounds(METRICS, bounds, WHERE)
        with pytest.raises(QualityGateError, match="^seed 3: " + re.escape(message)):
            check_bounds(METRICS, bounds, WHERE, model="seed 3")

    def test_a_metric_that_was_not_measured(self):
        with pytest.raises(UsageError, match=r"measured, got 'robust@1/255'; name one of eval/res"):
            check_bounds(METRICS, [parse_bound("robust@1/255>=0")], WHERE)
