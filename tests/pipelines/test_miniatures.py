"""Every pipeline of a real data set runs from its files to its report, on a miniature of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from miniatures.cub200 import write_cub200
from miniatures.imagenet9 import write_imagenet9
from miniatures.stl10 import write_stl10
from miniatures.voc import write_voc2012

from ectool.config import RunConfig
from ectool.stages import run as experiment
from ectool.stages.run.plan import open_experiment

PIPELINES = Path(__file__).parents[2] / "pipelines"
WRITERS = {
    "stl10": lambda root: write_stl10(root / "stl10_binary", per_class=3, test_per_class=1),
    "cub200": lambda root: write_cub200(root, per_class=2),
    "voc2012": lambda root: write_voc2012(root, per_class=1),
    "imagenet9": lambda root: write_imagenet9(root / "imagenet9", per_class=1, train_per_class=2),
}
METRICS = {
    "stl10": {"accuracy@original", "robust@2/255", "explanation_consistency"},
    "cub200": {"accuracy@original", "pointing_game", "energy_inside", "mask_iou"},
    "voc2012": {"map@original", "map11@original", "robust_map@2/255", "pointing_game"},
    "imagenet9": {"accuracy@mixed_rand", "accuracy@only_bg_b", "background_gap", "mask_iou"},
}


ARMS = {"plain", "consistency", "weights_only", "samples_only"}


@pytest.mark.parametrize("miniature", [False, True], ids=["whole", "miniature"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_table_of_a_pipeline_is_valid(name, miniature, tmp_path):
    file = PIPELINES / f"{name}.toml"
    config = RunConfig(file=file, output=tmp_path / "run", miniature=miniature, device="cpu")
    assert set(open_experiment(config).config.arms) == ARMS


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) for name in WRITERS],
)
def test_a_pipeline_runs_on_a_miniature(name, tmp_path, monkeypatch):
    WRITERS[name](tmp_path / "data")
    monkeypatch.setenv("ECTOOL_DATA", str(tmp_path / "data"))
    config = RunConfig(
        file=PIPELINES / f"{name}.toml", output=tmp_path / "run", miniature=True, device="cpu"
    )
    folder = experiment.run(config).path
    report = json.loads((folder / "report.json").read_text())
    assert set(report["metrics"]) >= METRICS[name]
    (compared,) = report["experiments"]
    assert set(compared["arms"]) == ARMS
    assert (folder / "strip.png").stat().st_size > 1000
