"""Artifacts of other library versions are named where they are read and inspected."""

from __future__ import annotations

import shutil

import pytest
import torch

from ectool.artifacts.folder import open_folder
from ectool.artifacts.store import read_manifest
from ectool.cli.console import ConsoleReporter
from ectool.config import EvaluateConfig, InspectConfig, PerturbConfig, TrainConfig
from ectool.stages import evaluate, perturb, train
from ectool.stages.tools import inspect

SAID = f"made with torch 0.9 (installed: {torch.__version__.partition('+')[0]})"


@pytest.fixture
def old(model, tmp_path):
    """Return a model that was made with another torch."""
    copy = shutil.copytree(model, tmp_path / "old")
    file = copy / "manifest.json"
    manifest = open_folder(copy, "model")
    versions = manifest.versions | {"torch": "0.9"}
    file.write_bytes(manifest.model_copy(update={"versions": versions}).to_bytes())
    return copy


def test_inspect_compares_with_what_is_installed(old, model):
    found = inspect.run(InspectConfig(artifact=old))
    installed = torch.__version__.partition("+")[0]
    assert found["other_versions"] == {"torch": {"made_with": "0.9", "installed": installed}}
    assert inspect.run(InspectConfig(artifact=model))["other_versions"] == {}


def test_inputs_of_other_versions_are_reported_and_inspected(old, few_options, tmp_path, listener):
    output = tmp_path / "adv.zarr"
    config = PerturbConfig(model=str(old), steps=1, output=output, **few_options)
    perturb.run(config, listener)
    assert [note for note in listener.notes if "made with" in note] == [f"{old}: {SAID}"]
    (parent,) = inspect.run(InspectConfig(artifact=output))["provenance"]
    assert parent["other_versions"]["torch"]["made_with"] == "0.9"
    before = len(listener.notes)
    assert not perturb.run(config, listener).is_new
    assert listener.notes[before:] == []


def test_an_evaluation_of_many_parts_tells_once(old, few_options, tmp_path, capsys):
    options = {**few_options, "suite": ("classification", "robustness"), "attacks": ("pgd",)}
    options |= {"eps": (2 / 255,), "eps_l2": (), "steps": 1, "corruptions": (), "bootstrap": 100}
    config = EvaluateConfig(model=str(old), output=tmp_path / "e", **options)
    evaluate.run(config, ConsoleReporter(quiet=False))
    assert capsys.readouterr().err.count(SAID) == 1


def test_device_and_threads_are_recorded_and_change_no_key(few_options, tmp_path, model):
    config = {"model": str(model), "steps": 1, "threads": torch.get_num_threads()}
    output = perturb.run(PerturbConfig(output=tmp_path / "a.zarr", **config, **few_options)).path
    machine = {"device": "cpu", "threads": torch.get_num_threads()}
    assert read_manifest(output).machine == machine
    given = {**few_options, "epochs": 2, "batch_size": 16}
    first = train.run(TrainConfig(output=tmp_path / "m", until_epoch=1, **given)).path
    assert open_folder(first, "model").machine == machine
    assert inspect.run(InspectConfig(artifact=first))["machine"] == machine
