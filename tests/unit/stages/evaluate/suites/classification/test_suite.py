"""Groups and confusion, from a data set's groups to the results."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ectool.artifacts.artifact import Artifact
from ectool.config import DataOptions, EvaluateConfig
from ectool.stages import evaluate
from ectool.stages.common.inputs import open_data

LIMIT = 120


@pytest.fixture(scope="module")
def evaluated(model, tmp_path_factory):
    """Return results, predictions and images of an evaluation of some of the digits."""
    config = EvaluateConfig(
        model=str(model),
        suite=("classification",),
        limit=LIMIT,
        bootstrap=100,
        output=tmp_path_factory.mktemp("classification") / "e",
        device="cpu",
    )
    results = json.loads((evaluate.run(config).path / "results.json").read_text())
    with Artifact(config.output / "predictions.zarr") as predictions:
        predictions = predictions.read("original/logits").argmax(axis=1)
    return results, predictions, open_data(DataOptions(limit=LIMIT), "test")


def test_the_worst_group_is_that_of_the_table(evaluated):
    results, predictions, digits = evaluated
    lines = {line["name"]: line for line in results["tables"]["groups"]}
    assert list(lines) == list(digits.groups.names)
    for number, name in enumerate(digits.groups.names):
        rows = np.flatnonzero(digits.groups.of_samples == number)
        assert lines[name]["n"] == len(rows)
        if len(rows):
            assert lines[name]["accuracy"] == (predictions[rows] == digits.labels[rows]).mean()
    worst = min(line["accuracy"] for line in lines.values() if line["n"])
    assert results["metrics"]["worst_group_accuracy"]["value"] == worst


def test_the_confusion_holds_every_image_once(evaluated):
    results, predictions, digits = evaluated
    cells = {
        (line["label"], line["predicted"]): line["n"] for line in results["tables"]["confusion"]
    }
    assert min(cells.values()) > 0
    assert len(cells) == len(results["tables"]["confusion"])
    for truth in range(10):
        for predicted in range(10):
            expected = int(((digits.labels == truth) & (predictions == predicted)).sum())
            assert cells.get((str(truth), str(predicted)), 0) == expected


def test_images_without_groups_have_no_worst_one(few_options, model, tmp_path):
    config = EvaluateConfig(
        model=str(model),
        suite=("classification",),
        bootstrap=100,
        output=tmp_path / "e",
        **few_options,
    )
    results = json.loads((evaluate.run(config).path / "results.json").read_text())
    assert "worst_group_accuracy" not in results["metrics"]
    assert "groups" not in results
