"""One pass of perturb and explain writes the same as both stages, also after interruptions."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from ectool.artifacts.partial import PartialArtifact
from ectool.config import ExplainConfig, PerturbConfig
from ectool.errors import OutputExistsError
from ectool.stages import explain, perturb
from ectool.stages.perturb.joint_work import OnePassWork
from ectool.types import SILENT, Outcome

SHARD = 8


@pytest.fixture
def outputs(tmp_path):
    """Return the paths of both artifacts."""
    return tmp_path / "together" / "a.zarr", tmp_path / "together" / "c.zarr"


@pytest.fixture
def outcome(model, few_options, outputs):
    """Run `perturb --heatmaps`."""

    def run(reporter=SILENT, **given):
        outputs[0].parent.mkdir(exist_ok=True)
        paths = dict(zip(("output", "heatmaps"), outputs, strict=True))
        options = {"shard_size": SHARD, **few_options, **given}
        return perturb.run(PerturbConfig(model=str(model), **paths, **options), reporter)

    return run


@pytest.fixture
def together(outcome, outputs):
    """Run `perturb --heatmaps`; return both paths."""

    def run(**given):
        outcome(**given)
        return outputs

    return run


@pytest.fixture
def apart(model, few_options, tmp_path):
    """Run `perturb` and `explain`; return both paths."""

    def run(told=None, **given):
        folder = tmp_path / "apart"
        folder.mkdir()
        shared = {"model": str(model), "shard_size": SHARD, **given}
        samples = PerturbConfig(output=folder / "a.zarr", **shared, **(told or {}), **few_options)
        heatmaps = ExplainConfig(
            output=folder / "c.zarr", samples=perturb.run(samples).path, device="cpu", **shared
        )
        return samples.output, explain.run(heatmaps).path

    return run


@pytest.mark.parametrize(
    ("told", "given"),
    [
        ({"steps": 2}, {}),
        ({"mask": "full", "attack": "noise"}, {"method": "layercam"}),
        pytest.param({"steps": 1, "restarts": 2}, {"batch_size": 5}, marks=pytest.mark.slow),
        pytest.param(
            {"attack": "explanation", "steps": 2},
            {"layer": ("features.8", "features.2")},
            marks=pytest.mark.slow,
        ),
        ({"precision": "bf16", "steps": 2}, {}),
    ],
)
def test_the_bytes_are_those_of_the_two_commands(told, given, together, apart, tree):
    for one, other in zip(together(**told, **given), apart(told, **given), strict=True):
        assert tree(one) == tree(other)


def test_explain_finds_the_heatmaps_up_to_date(together, model, listener):
    samples, heatmaps = together()
    config = ExplainConfig(
        model=str(model), samples=samples, output=heatmaps, device="cpu", shard_size=SHARD
    )
    assert explain.run(config, listener) == Outcome(heatmaps, is_new=False)
    assert (listener.notes, listener.tasks) == ([], [])


def test_a_second_run_computes_nothing(outcome, outputs, listener):
    assert outcome() == Outcome(outputs[0], is_new=True)
    assert outcome(reporter=listener) == Outcome(outputs[0], is_new=False)
    assert (listener.notes, listener.tasks) == ([], [])


def test_an_interrupted_pass_goes_on(together, apart, tree, monkeypatch, listener):
    calls, compute = [], OnePassWork.compute

    def fail(self, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(OnePassWork, "compute", fail)
        with pytest.raises(KeyboardInterrupt):
            together()
    outputs = together(reporter=listener)
    assert listener.tasks == [("perturb", 30 - 2 * SHARD)]
    for one, other in zip(outputs, apart(), strict=True):
        assert tree(one) == tree(other)


def test_finished_heatmaps_are_published_after_a_kill_in_between(
    together, outcome, outputs, apart, tree, monkeypatch, listener
):
    publish = PartialArtifact.publish

    def die(self, findings=None, recipe=None):
        if recipe is not None:
            raise KeyboardInterrupt
        return publish(self, findings)

    with monkeypatch.context() as patch:
        patch.setattr(PartialArtifact, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            together()
    assert outcome(reporter=listener).is_new
    assert listener.tasks == []
    for one, other in zip(outputs, apart(), strict=True):
        assert tree(one) == tree(other)
    assert sorted(path.name for path in outputs[0].parent.iterdir()) == ["a.zarr", "c.zarr"]


def test_heatmaps_alone_are_made_again(together, outcome, tree, listener):
    _, heatmaps = together()
    before = tree(heatmaps)
    shutil.rmtree(heatmaps)
    assert outcome(reporter=listener).is_new
    assert [name for name, _ in listener.tasks] == ["explain"]
    assert tree(heatmaps) == before


def test_other_heatmaps_are_not_overwritten(together, read):
    samples, heatmaps = together()
    shutil.rmtree(samples)
    before = read(heatmaps)
    with pytest.raises(OutputExistsError, match=r"c\.zarr: expected no output"):
        together(seed=3)
    for name, values in read(heatmaps).items():
        np.testing.assert_array_equal(values, before[name])
