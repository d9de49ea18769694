"""Findings of artifacts as sentences, from the manifest of the whole artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.stages.common.outcomes import gathered, outcome_of
from ectool.types import Finding

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
    assert str(unaltered).startswith(f"{path}: 6 logits did not change under random weights")
    assert str(constant).startswith(f"{path}: 2 heatmaps are constant (or zero)")


def test_unmoved_samples_are_a_finding_of_samples_alone(made):
    assert outcome_of(made({"unmoved_samples": 2}), is_new=True).findings == ()


def test_a_path_without_a_manifest_has_no_findings(tmp_path):
    assert outcome_of(tmp_path, is_new=False).findings == ()


def found(name, path, text="4 of 8 heatmaps are zero"):
    return Finding(name, Path("out") / path, text, "heatmaps are zero")


def test_findings_that_repeat_are_one_with_their_arms_and_rounds():
    rounds = [f"seed-{seed}/ec/{n}" for seed in (1, 0) for n in (1, 2, 3, 10, 12)]
    places = ["seed-0/eval", "seed-0/plain/eval", *rounds]
    every = [found("zero-heatmaps", f"{place}/cams.zarr") for place in places]
    alone = found("huge-logits", "seed-0/ec/eval/predictions.zarr")
    first, second = gathered([*every, alone, *every], Path("out"))
    assert second == alone
    assert str(first) == (
        "out: heatmaps are zero in 12 places (seed-0 eval, seed-0/ec 1-3, 10, 12, seed-0/plain "
        "eval, seed-1/ec 1-3, 10, 12); the first: 4 of 8 heatmaps are zero"
    )


def test_two_artifacts_of_a_round_are_one_place():
    both = [found("huge-logits", f"seed-0/ec/1/{name}.zarr") for name in ("adv", "cams")]
    (one,) = gathered(both, Path("out"))
    assert "in 1 place (seed-0/ec 1); the first: " in one.text


def test_without_findings_nothing_is_gathered():
    assert gathered([], Path("out")) == ()
