from __future__ import annotations

import pytest

from ectool.reports.evaluation import from_results
from ectool.reports.gates.content import (
    GateLine,
    GateReport,
    gate_table,
    metric_table,
    model_table,
)

PASSED = GateLine("nll <= 2", "", "1.5", is_passed=True)
MISSED = GateLine("nll <= 1", "", "1.5", is_passed=False)


@pytest.mark.parametrize(
    ("gates", "failures", "verdict"),
    [
        ((PASSED, PASSED), {}, "2 gates passed"),
        ((PASSED, MISSED), {}, "1 of 2 gates missed"),
        ((PASSED,), {"a": "no file"}, "1 gate passed, 1 model failed"),
        ((), {}, ""),
    ],
)
def test_verdict(gates, failures, verdict):
    assert GateReport("evaluate", gates, {}, failures).verdict == verdict


def test_gates_of_models_have_their_names():
    assert gate_table((PASSED, MISSED)) == {
        "nll <= 2": {"gate": "passed", "found": "1.5"},
        "nll <= 1": {"gate": "MISSED", "found": "1.5"},
    }
    assert list(gate_table((GateLine("nll <= 2", "a", "1", is_passed=True),))) == ["a: nll <= 2"]


def evaluation(name, **metrics):
    shared = {"suite": "x", "label": "", "definition": "", "higher_is_better": True, "n": 9}
    entries = {metric: {**shared, **entry} for metric, entry in metrics.items()}
    return from_results(name, {"version": 3, "metrics": entries, "tables": {}})


def test_metrics_with_intervals():
    found = evaluation(
        "a",
        share={"value": 0.5, "low": 0.25, "high": 0.75, "is_share": True},
        map={"value": 0.5, "low": 0.4, "high": 0.6, "is_share": True, "kind": "spread"},
        robust={"value": 0.5, "low": None, "high": None, "is_share": True, "upper_bound": "why"},
        nll={"value": 1.5, "low": 1.0, "high": 2.0, "is_share": False},
    )
    assert metric_table(found) == {
        "share": {"value": "50.0", "95 % interval": "[25.0, 75.0]", "n": 9},
        "map": {"value": "50.0", "95 % interval": "spread [40.0, 60.0]", "n": 9},
        "robust": {"value": "≤ 50.0", "95 % interval": "-", "n": 9},
        "nll": {"value": "1.500", "95 % interval": "[1.000, 2.000]", "n": 9},
    }
    other = evaluation("b", nll={"value": 1.0, "low": None, "high": None, "is_share": False})
    table = model_table({"a": found, "b": other})
    assert table["nll"] == {"a": "1.500 [1.000, 2.000]", "b": "1.000"}
    assert table["robust"] == {"a": "≤ 50.0", "b": None}
