from __future__ import annotations

import json

import numpy as np

from ectool.reports.content import (
    Arm,
    Content,
    Interval,
    Metric,
    Provenance,
    Result,
    Sheet,
    compare,
)
from ectool.reports.document import to_json
from ectool.reports.html import render

NAN = float("nan")


def content(sheet: Sheet | None = None) -> Content:
    interval = Interval(NAN, NAN, NAN, 1)
    results = {
        "plain": Result({0: NAN}, interval, None),
        "other": Result({0: 0.5}, interval, compare(interval, higher_is_better=True)),
    }
    return Content(
        title="Größe",
        reference="plain",
        seeds=(0,),
        epochs=1,
        warmup_epochs=1,
        every=1,
        metrics={"m": Metric("metric", "what it is", higher_is_better=True)},
        arms=tuple(Arm(name, {}, {"m": result}, {0: []}, {}) for name, result in results.items()),
        sheet=sheet,
        provenance=Provenance(("data",), {"numpy": "2"}, {"train": {"seed": None}}, "command"),
    )


def test_undefined_numbers_are_null():
    document = json.loads(to_json(content()))
    found = document["arms"]["plain"]["metrics"]["m"]
    assert found == {
        "values": {"0": None},
        "mean": None,
        "low": None,
        "high": None,
        "n": 1,
        "difference": None,
    }
    other = document["arms"]["other"]["metrics"]["m"]["difference"]
    assert other == {"mean": None, "low": None, "high": None, "n": 1, "verdict": None}
    assert document["samples"] is None
    assert document["title"] == "Größe"


def test_samples_come_without_their_pictures(make_sample):
    sample = make_sample(clean=np.full((2, 2), 3.0, np.float32))
    sheet = Sheet("other", 0, 4, 0, 7, (sample,))
    found = json.loads(to_json(content(sheet)))["samples"]
    assert found["round"] == 4
    assert found["samples"] == [
        {
            "sample_id": "train/0",
            "choice": "least consistent",
            "label": "cat",
            "predicted": ["cat", "dog"],
            "consistency": 0.25,
            "weight": 1.5,
            "scale": 3.0,
        }
    ]


def test_page_without_histories_rounds_and_samples():
    page = render(content())
    assert '<h2 id="results">' in page
    assert 'id="training"' not in page
    assert 'id="samples"' not in page


def test_page_with_samples(make_sample):
    page = render(content(Sheet("other", 0, 4, 0, 7, (make_sample(), make_sample(seed=1)))))
    assert page.count("data:image/png;base64,") == 2 * 5 + 1
    assert "1 of 7 classes" in page
    assert "amplified 63 times" in page
