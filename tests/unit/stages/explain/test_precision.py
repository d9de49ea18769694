"""`--precision auto`: artifacts equal those of the chosen precision, and what exists decides."""

from __future__ import annotations

import pytest
import torch

from ectool.artifacts.partial import partial_folder
from ectool.artifacts.store import read_manifest
from ectool.config import ExplainConfig, PerturbConfig
from ectool.errors import InputError, OutputExistsError
from ectool.models.precision import has_bf16
from ectool.stages import explain, perturb
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import open_data
from ectool.stages.explain import agreement
from ectool.stages.perturb.command import describe
from ectool.types import SILENT

STAGES = {
    "explain": (ExplainConfig, explain, {}),
    "perturb": (PerturbConfig, perturb, {"steps": 1}),
}
NATIVE = has_bf16(torch.device("cpu"))


@pytest.fixture(params=list(STAGES))
def make(request, model, few_options, tmp_path):
    """Return a function that runs a stage with a precision."""
    config, module, own = STAGES[request.param]

    def run(name, precision, reporter=SILENT, **given):
        options = {"model": str(model), "device": "cpu", **few_options, **own, **given}
        made = config(output=tmp_path / name, precision=precision, **options)
        return module.run(made, reporter)

    return run


def precision_of(outcome):
    return read_manifest(outcome.path).recipe.config["precision"]


def test_a_small_network_gives_the_artifact_of_fp32(make, listener):
    auto, full = make("auto.zarr", "auto", listener), make("full.zarr", "fp32")
    first, second = (read_manifest(one.path) for one in (auto, full))
    assert (first.key, first.id) == (second.key, second.id)
    assert any("--precision auto: fp32; the " in note for note in listener.notes)
    assert not make("auto.zarr", "auto").is_new


@pytest.mark.skipif(not NATIVE, reason="this processor has no instructions for bf16")
def test_a_network_that_gains_gives_the_artifact_of_bf16(make, monkeypatch):
    monkeypatch.setattr(agreement, "MIN_MULTIPLY_ADDS", 0)
    monkeypatch.setattr(agreement, "MIN_SPEED", 0)
    auto, half = make("auto.zarr", "auto"), make("half.zarr", "bf16")
    first, second = (read_manifest(one.path) for one in (auto, half))
    assert (first.key, first.id) == (second.key, second.id)


def test_what_is_finished_stays(make):
    assert precision_of(make("a.zarr", "bf16")) == "bf16"
    again = make("a.zarr", "auto")
    assert (again.is_new, precision_of(again)) == (False, "bf16")


def test_what_has_begun_goes_on_alike(model, few_options, tmp_path):
    options = {"model": str(model), "steps": 1, "shard_size": 16, **few_options}
    half = PerturbConfig(output=tmp_path / "a.zarr", precision="bf16", **options)
    recipe = describe(half, find_model(half), open_data(half, half.split))
    partial_folder(half.output, recipe).mkdir()
    made = perturb.run(half.model_copy(update={"precision": "auto"}))
    assert (made.is_new, precision_of(made)) == (True, "bf16")


def test_other_options_are_in_the_way_before_anything_is_decided(make, listener):
    make("a.zarr", "fp32")
    with pytest.raises(OutputExistsError, match="hirescam"):
        make("a.zarr", "auto", listener, method="hirescam")
    assert not listener.notes
    assert precision_of(make("a.zarr", "auto", method="hirescam", force=True)) == "fp32"


def test_attacks_without_gradients_stay_in_fp32(model, few_options, tmp_path, listener):
    options = {"model": str(model), "attack": "noise", "precision": "auto", **few_options}
    made = perturb.run(PerturbConfig(output=tmp_path / "a.zarr", **options), listener)
    assert precision_of(made) == "fp32"
    assert any("computes no gradients" in note for note in listener.notes)


def test_inputs_are_checked_first(make, tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        make("a.zarr", "auto", model=str(tmp_path / "nowhere"))
