"""The command of a manifest gives its key again; otherwise only its stage is named."""

from __future__ import annotations

import shlex
from pathlib import Path

from ectool.artifacts.manifest import DataSource, Parent, Recipe, make_manifest
from ectool.config import ExplainConfig, ScoreConfig
from ectool.stages.tools.verify.origin import command_for


def manifest(config, stage, parents=(), source=None):
    recipe = Recipe(
        kind="heatmaps", stage=stage, config=config.keyed(), parents=parents, source=source
    )
    return make_manifest(recipe)


def test_options_inputs_and_data_are_those_of_the_manifest(tmp_path):
    config = ExplainConfig(
        model="m", data="imagefolder:my photos", size=64, method="layercam", output=Path("o")
    )
    options = config.model_dump(
        mode="json", include={"size", "view", "fraction", "limit", "fold", "rho", "data_seed"}
    )
    source = DataSource(
        data="imagefolder:my photos", split="train", options=options, fingerprint=""
    )
    parent = Parent(role="model", kind="model", id="i", path="../m")
    output = tmp_path / "run/cams.zarr"
    found = command_for(output, manifest(config, "explain", (parent,), source))
    words = shlex.split(found.strip("`"))
    assert words[:2] == ["ectool", "explain"]
    given = dict(zip(words[2:-1:2], words[3:-1:2], strict=True))
    assert given == {
        **{"--model": str(tmp_path / "m"), "--data": "imagefolder:my photos", "--size": "64"},
        **{"--method": "layercam", "--output": str(output)},
    }
    assert words[-1] == "--resume"


def test_options_that_cannot_be_given_again_are_not_guessed(tmp_path):
    known = manifest(ScoreConfig(heatmaps=Path("h")), "score")
    other = known.recipe.model_copy(update={"config": {**known.recipe.config, "gamma": -3}})
    found = command_for(tmp_path / "w.zarr", known.model_copy(update={"recipe": other}))
    assert found == f"`ectool score` with the same options and --output {tmp_path / 'w.zarr'}"


def test_a_part_of_an_experiment_is_made_by_run(tmp_path):
    (tmp_path / "experiment.json").write_text("{}")
    found = command_for(tmp_path / "seed-0/ec/1/cams.zarr", None)
    assert found == f"`ectool run` with the same file and --output {tmp_path}"
    assert command_for(Path("/nowhere/cams.zarr"), None) == "the command that made it"
