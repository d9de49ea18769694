from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ectool.reports.content import (
    Arm,
    ExperimentResults,
    Metric,
    Result,
    RoundSamples,
    compare,
)
from ectool.reports.page.document import VERSION, as_text, to_document
from ectool.reports.report import Failure, GallerySample
from ectool.types import Estimate

NAN = math.nan


def experiment(round_samples: RoundSamples | None = None) -> ExperimentResults:
    interval = Estimate(NAN, NAN, NAN, 1)
    results = {
        "plain": Result({0: NAN}, interval, None),
        "other": Result(
            {0: 0.5},
            interval,
            compare(interval, higher_is_better=True, p_value=math.nan, p_holm=math.nan),
        ),
    }
    return ExperimentResults(
        title="Größe",
        reference="plain",
        seeds=(0,),
        epochs=1,
        warmup_epochs=1,
        every=1,
        metrics={"m": Metric("metric", "what it is", higher_is_better=True)},
        arms=tuple(Arm(name, {}, {"m": result}, {0: []}, {}) for name, result in results.items()),
        round_samples=round_samples,
    )


def test_undefined_numbers_are_null(make_report):
    document = json.loads(
        as_text(to_document(make_report(experiments=(experiment(),), title="Größe")))
    )
    assert document["title"] == "Größe"
    (found,) = document["experiments"]
    assert found["arms"]["plain"]["metrics"]["m"] == {
        "values": {"0": None},
        "mean": None,
        "low": None,
        "high": None,
        "n": 1,
        "difference": None,
    }
    other = found["arms"]["other"]["metrics"]["m"]["difference"]
    assert other == {
        "mean": None,
        "low": None,
        "high": None,
        "n": 1,
        "verdict": None,
        "p_value": None,
        "p_holm": None,
    }
    assert found["samples"] is None


def test_samples_come_without_their_images(make_report, make_sample):
    sample = make_sample(clean=np.full((2, 2), 3.0, np.float32))
    known = {
        "sample_id": "train/0",
        "choice": "least consistent",
        "label": "cat",
        "predicted": ["cat", "dog"],
        "correct": [True, False],
        "consistency": 0.25,
        "similarity": 0.5,
        "stability": 0.5,
        "weight": 1.5,
        "scale": 3.0,
    }
    report = make_report(
        experiments=(experiment(RoundSamples("other", 0, 4, 0, 7, (sample,))),),
        gallery=(GallerySample({"a": sample}),),
    )
    document = json.loads(as_text(to_document(report)))
    assert document["experiments"][0]["samples"]["round"] == 4
    assert document["experiments"][0]["samples"]["samples"] == [known]
    assert document["gallery"] == [{"a": known}]


def test_models(make_report, make_evaluation):
    one = make_evaluation("a, seed 0", {"nll": 1.5}, classes=[{"name": "cat", "accuracy": None}])
    failed = Failure("b", "no weights")
    document = json.loads(
        as_text(to_document(make_report(one, groups={one.name: "a"}, failures=(failed,))))
    )
    (model,) = document["models"]
    assert (model["name"], model["group"], model["data"]) == ("a, seed 0", "a", "data")
    assert model["metrics"]["nll"] == {
        "value": 1.5,
        "low": pytest.approx(1.4),
        "high": 1.6,
        "n": 100,
        "kind": "interval",
    }
    assert model["tables"] == {"classes": [{"name": "cat", "accuracy": None}]}
    assert document["metrics"]["nll"]["suite"] == "classification"
    assert document["metrics"]["nll"]["is_share"] is False
    assert document["failures"] == [{"name": "b", "error": "no weights"}]


def test_metrics_have_their_conditions(make_report, make_evaluation):
    document = to_document(make_report(make_evaluation("a", {"robust@2/255": 0.5})))
    assert document["version"] == VERSION
    metric = document["metrics"]["robust@2/255"]
    assert (metric["attack"], metric["norm"], metric["suite"]) == ("pgd", "linf", "robustness")
    assert metric["radius"] == pytest.approx(2 / 255)
    assert "condition" not in metric
