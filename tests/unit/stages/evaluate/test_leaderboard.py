from __future__ import annotations

import csv
import io
import json

import pytest

from ectool.stages.evaluate.leaderboard import Standing, leaderboard, results


def entry(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "n": 3}


STANDINGS = [
    Standing("a, b", "runs/a", "ok", evaluation="a, b", metrics={"nll": entry(0.1, 0.05, 1 / 3)}),
    Standing("c", "runs/c", "failed", error='no "layer"'),
    Standing("d", "runs/d", "ok", evaluation="d", metrics={"ece": entry(None), "nll": entry(2.0)}),
    Standing("e", "runs/e"),
]


def test_a_row_per_model_and_three_columns_per_metric():
    rows = list(csv.reader(io.StringIO(leaderboard(STANDINGS))))
    assert rows == [
        ["name", "status", "nll", "nll_low", "nll_high", "ece", "ece_low", "ece_high"],
        ["a, b", "ok", "0.1", "0.05", repr(1 / 3), "", "", ""],
        ["c", "failed", *[""] * 6],
        ["d", "ok", "2.0", *[""] * 5],
        ["e", "pending", *[""] * 6],
    ]


def test_no_model_at_all():
    assert leaderboard([]) == "name,status\n"


def test_results_hold_what_is_shared_and_every_model():
    found = json.loads(results(STANDINGS, {"data": {"name": "digits"}}))
    assert list(found) == ["schema", "version", "data", "models"]
    assert (found["schema"], found["version"]) == ("audit", 1)
    assert found["models"][1] == {
        **{"name": "c", "path": "runs/c", "status": "failed", "error": 'no "layer"'},
        **{"evaluation": None, "metrics": {}},
    }
    assert found["models"][0]["metrics"] == STANDINGS[0].metrics


def test_numbers_that_json_has_no_word_for_are_a_bug():
    broken = Standing("a", "b", "ok", metrics={"nll": entry(float("nan"))})
    with pytest.raises(ValueError, match="JSON"):
        results([broken], {})
