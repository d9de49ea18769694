"""Findings of artifacts as sentences, from the manifest of the whole artifact."""

from __future__ import annotations

import numpy as np
import pytest

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.stages.common.outcomes import of_samples, outcome_of

N = 4


@pytest.fixture
def made(tmp_path):
    """Return a function that writes an artifact of two shards with findings of each."""

    def make(findings, kind="weights"):
        names = np.array([f"{row}" for row in range(N)], dtype=np.dtypes.StringDType())
        ones = np.ones(N, np.float32)
        scores = ("similarity", "stability", "explanation_consistency", "weight")
        arrays = {"sample_id": names, **dict.fromkeys(scores, ones)}
        path = tmp_path / "a.zarr"
        recipe = Recipe(kind=kind, stage="test", config={})
        with growing(path, recipe, length=N, shard_size=2) as partial:
            for number, (start, stop) in enumerate(partial.ranges):
                part = {name: array[start:stop] for name, array in arrays.items()}
                partial.write(number, part, findings)
            return partial.publish()

    return make


@pytest.mark.parametrize("is_new", [True, False])
def test_findings_are_those_of_all_shards_whether_they_are_new_or_not(made, is_new):
    path = made({"constant_heatmaps": 1, "unaltered_logits": 3})
    outcome = outcome_of(path, is_new=is_new)
    assert (outcome.path, outcome.is_new) == (path, is_new)
    unaltered, constant = outcome.findings
    assert unaltered.startswith(f"{path}: 6 logits did not change under random weights")
    assert constant.startswith(f"{path}: 2 heatmaps are constant (or zero)")


def test_zero_maps_are_a_finding_only_where_all_are_zero(made, tmp_path):
    assert outcome_of(made({"zero_maps_clean": 1}), is_new=True).findings == ()
    (tmp_path / "a.zarr").rename(tmp_path / "b.zarr")
    (text,) = outcome_of(made({"zero_maps_clean": 2}), is_new=True).findings
    assert "all heatmaps are zero" in text


def test_unmoved_samples_are_a_finding_of_samples_alone(made):
    assert outcome_of(made({"unmoved_samples": 2}), is_new=True).findings == ()


@pytest.mark.parametrize(
    ("radius", "text"),
    [
        ((1 / 255, 200, 0.97), "the smallest radius, 0.003922, changes 97 % of 200 correct"),
        ((1.0, 200, 0.31), "the largest radius, 1, changes 31 % of 200 correct predictions"),
        ((1 / 255, 0, 1.0), "no prediction is correct, so eps is the smallest radius"),
    ],
)
def test_a_radius_at_the_end_of_the_search_is_a_finding(radius, text):
    names = ("eps", "eps_correct_predictions", "eps_changed_predictions")
    found = {**dict(zip(names, radius, strict=True)), "eps_at_end": 1.0}
    (sentence,) = of_samples(found, N)
    assert sentence.startswith(f"--eps auto: {text}")
    del found["eps_at_end"]
    assert list(of_samples(found, N)) == []


def test_a_path_without_a_manifest_has_no_findings(tmp_path):
    assert outcome_of(tmp_path, is_new=False).findings == ()
