from __future__ import annotations

import math

import pytest

from ectool.errors import InputError
from ectool.reports.evaluation import from_results
from ectool.types import Estimate

RESULTS = {
    "schema": "evaluation",
    "version": 3,
    "model": {"id": "0"},
    "suites": ["classification"],
    "metrics": {
        "nll": {
            "suite": "classification",
            "value": 0.5,
            "low": None,
            "high": 0.75,
            "n": 20,
            "label": "negative log-likelihood",
            "definition": "in nats",
            "higher_is_better": False,
            "is_share": False,
        }
    },
    "tables": {"classes": [{"name": "cat", "accuracy": None}]},
}


def test_a_spread_is_not_an_interval():
    for kind in ("spread", "interval"):
        entry = {**RESULTS["metrics"]["nll"], **({"kind": kind} if kind == "spread" else {})}
        found = from_results("model", {**RESULTS, "metrics": {"nll": entry}})
        assert found.values["nll"].kind == kind


def test_from_results():
    found = from_results("model", RESULTS)
    assert found.name == "model"
    assert found.value("nll") == 0.5
    assert math.isnan(found.values["nll"].low)
    assert not found.values["nll"].bounded
    assert (found.values["nll"].high, found.values["nll"].n) == (0.75, 20)
    assert found.metrics["nll"].label == "negative log-likelihood"
    assert not found.metrics["nll"].higher_is_better
    assert found.suites == {"nll": "classification"}
    assert found.tables == RESULTS["tables"]


def test_what_was_not_measured_is_nan():
    assert math.isnan(from_results("model", RESULTS).value("ece"))
    assert isinstance(from_results("model", RESULTS).values["nll"], Estimate)


def test_results_of_earlier_versions_are_refused_in_one_line():
    message = r"a: expected results.json of version 3, got version 2; repeat `ectool evaluate`"
    with pytest.raises(InputError, match=message):
        from_results("a", RESULTS | {"version": 2})


def test_conditions_are_fields():
    fields = {"measure": "accuracy", "attack": "pgd", "norm": "linf", "radius": 0.25}
    entry = RESULTS["metrics"]["nll"] | fields
    found = from_results("a", RESULTS | {"metrics": {"robust@0.25": entry}})
    assert found.metrics["robust@0.25"].condition == fields
