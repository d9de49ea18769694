"""`evaluate --precision auto`: one precision for all parts, that of the parts which exist."""

from __future__ import annotations

import pytest

from ectool.artifacts.store import read_manifest
from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig
from ectool.stages import evaluate, explain, perturb
from ectool.stages.common.found_models import find_model
from ectool.stages.evaluate.precision import recorded, settle_precision
from ectool.stages.evaluate.results import read_results
from ectool.stages.evaluate.suites.parts import Subject
from ectool.types import SILENT

QUICK = {
    **{"data": "digits", "limit": 6, "device": "cpu", "bootstrap": 100, "subset": 3},
    **{"suite": ("localization",)},
}


@pytest.fixture
def run(model, tmp_path):
    def evaluated(name, precision, **given):
        options = {"model": str(model), **QUICK, **given}
        config = EvaluateConfig(output=tmp_path / name, precision=precision, **options)
        return evaluate.run(config)

    return evaluated


@pytest.mark.slow
def test_a_small_network_gives_the_evaluation_of_fp32(run):
    auto, full = run("auto", "auto").path, run("full", "fp32").path
    assert read_manifest(auto).key == read_manifest(full).key
    assert read_results(auto)["parts"] == read_results(full)["parts"]


def test_parts_decide_but_not_the_samples_of_the_measure(model, few_options, tmp_path):
    given = {"model": str(model), **few_options}
    output = tmp_path / "eval"
    perturbing = PerturbConfig(**given, steps=0, output=output / "adv.zarr")
    perturb.run(perturbing)
    config = EvaluateConfig(**given, suite=("localization",), precision="auto", output=output)
    assert list(recorded(Subject(config, find_model(config), {}, SILENT))) == []
    explain.run(ExplainConfig(**given, precision="bf16", output=output / "cams.zarr"))
    subject = Subject(config, find_model(config), {}, SILENT)
    settle_precision(subject)
    assert subject.config.precision == "bf16"


@pytest.mark.slow
def test_results_and_parts_keep_their_precision(run):
    half = run("half", "bf16")
    assert not run("half", "auto").is_new
    (half.path / "manifest.json").unlink()
    grown = run("half", "auto").path  # by its parts
    assert read_results(grown)["configuration"]["precision"] == "bf16"
    both = run("half", "auto", suite=("localization", "faithfulness")).path
    assert read_manifest(both / "faithfulness.zarr").recipe.config["precision"] == "bf16"


def test_suites_without_heatmaps_stay_in_fp32(run):
    found = read_results(run("plain", "auto", suite=("classification",)).path)
    assert found["configuration"]["precision"] == "fp32"
