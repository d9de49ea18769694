from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ectool.errors import UsageError
from ectool.metrics.bounds import Comparison
from ectool.stages.evaluate.gates.check import check_all, check_bounds, missed_error
from ectool.stages.evaluate.gates.parse import parse_bound
from ectool.stages.evaluate.pairs import read_evaluation
from ectool.types import Estimate

WHERE = Path("eval/results.json")
ENDS = {"low": None, "high": None, "n": 100}
METRICS = {
    "background_gap": {"value": 0.3, **ENDS},
    "nll": {"value": 1.25, **ENDS},
    "mask_iou": {"value": None, **ENDS},
    "accuracy@original": {"value": 29 / 100, "low": 0.2, "high": 0.4, "n": 100},
    "map@original": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 9, "kind": "spread"},
}


def check(*texts, **options):
    return check_bounds(METRICS, [parse_bound(text) for text in texts], WHERE, **options)


@pytest.mark.parametrize(
    "text", ["bg_gap<=30", "bg_gap>=30%", "nll>=1.25", "accuracy>=29", "accuracy.low>=20"]
)
def test_bounds_are_met_by_the_number_itself(text):
    (gate,) = check(text)
    assert gate.missed is None
    assert missed_error([gate], {"": WHERE}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bg_gap<=10", "background_gap: expected <= 10 %, got 30 %; see eval/results.json"),
        ("nll<=1", "nll: expected <= 1, got 1.25; see"),
        ("mask_iou>=0", "mask_iou: expected >= 0 %, got undefined"),
        ("accuracy.low>=21", "accuracy@original.low: expected >= 21 %, got 20 %"),
        ("accuracy.high<=21", "accuracy@original.high: expected <= 21 %, got 40 %"),
        ("bg_gap.low>=0", "background_gap.low: expected >= 0 %, got undefined"),
    ],
)
def test_the_first_bound_that_is_missed_is_named(text, message):
    error = missed_error(check("nll>=0", text), {"": WHERE})
    assert str(error).startswith(message)
    assert error.exit_code == 6
    several = missed_error(check("nll>=0", text, "nll<=0", model="seed 3"), {"seed 3": WHERE})
    found = "seed 3: " + message.partition("; see")[0]
    assert str(several) == f"{found} (and 1 more of 3 gates missed); see {WHERE}"


def test_a_metric_that_was_not_measured():
    with pytest.raises(UsageError, match=r"measured, got 'robust@1/255'; name one of eval/res"):
        check("robust@1/255>=0")


def test_a_gate_as_json():
    (gate,) = check("accuracy.low>=30", model="a")
    assert json.loads(json.dumps(gate.entry)) == {
        "gate": "accuracy@original.low >= 30 %",
        "model": "a",
        "passed": False,
        "found": "29 % [20, 40]",
        "metric": "accuracy@original",
        "end": "low",
        "sign": ">=",
        "bound": 0.3,
        "is_relative": False,
        "is_share": True,
        "value": 0.29,
        "low": 0.2,
        "high": 0.4,
        "n": 100,
    }
    (spread,) = check("map@original.low>=30")
    assert (spread.text, spread.entry["kind"]) == ("50 % spread [40, 60]", "spread")
    assert json.dumps(check("mask_iou>=0")[0].entry, allow_nan=False)


def test_a_relative_gate_as_json():
    bound = parse_bound("accuracy>=baseline-1")
    comparison = Comparison(0.4, Estimate(-0.11, -0.2, -0.02, 90), "McNemar", 0.01, 0.95)
    (gate,) = check_bounds(METRICS, [bound], WHERE, compared={bound: comparison})
    assert gate.entry["passed"] is False
    assert gate.entry["found"] == "-11 points [-20, -2] against 40 %, p = 0.01"
    assert gate.entry["baseline"] == {
        "value": 0.4,
        "difference": -0.11,
        "low": -0.2,
        "high": -0.02,
        "n": 90,
        "confidence": 0.95,
        "test": "McNemar",
        "p_value": 0.01,
    }


def test_an_upper_bound_is_no_better_than_a_baseline():
    bounds = [parse_bound(f"nll{sign}baseline") for sign in (">=", "<=")]
    comparison = Comparison(0.4, Estimate(0.0, -0.1, 0.1, 90), "t", 1.0, 0.95)
    metrics = {"nll": {**METRICS["nll"], "upper_bound": "no gradient"}}
    compared = dict.fromkeys(bounds, comparison)
    missed = [gate.missed for gate in check_bounds(metrics, bounds, WHERE, compared=compared)]
    assert missed == ["no more than an upper bound, 1.25: no gradient", None]


def test_every_bound_is_checked_for_every_model(make_evaluation, tmp_path):
    names = {"a": 1, "b": 4}
    models = {
        name: read_evaluation(make_evaluation(tmp_path / name, skill=skill, seed=skill))
        for name, skill in names.items()
    }
    bounds = [parse_bound("accuracy>=70"), parse_bound("accuracy>=baseline")]
    found = check_all(bounds, models, models["b"])
    assert [(gate.model, gate.missed is None) for gate in found] == [
        ("a", False),
        ("a", False),
        ("b", True),
        ("b", True),
    ]
    values = {name: one.results["metrics"]["accuracy@original"] for name, one in models.items()}
    for gate in found:
        assert gate.found.value == values[gate.model]["value"]
    unmeasured = re.escape("a: --require: expected a metric that was measured, got 'mask_iou'; na")
    with pytest.raises(UsageError, match=unmeasured):
        check_all([parse_bound("mask_iou>=1")], models, None)
