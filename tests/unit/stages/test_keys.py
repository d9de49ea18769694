"""What an artifact's key depends on: every option that can change the result, and no other."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig, ScoreConfig
from ectool.errors import OutputExistsError
from ectool.options import is_keyed
from ectool.stages import evaluate, explain, perturb, score

STAGES = {
    "perturb": (PerturbConfig, perturb),
    "explain": (ExplainConfig, explain),
    "score": (ScoreConfig, score),
    "evaluate": (EvaluateConfig, evaluate),
}
OTHER = {
    "shard_size": 16,
    "layer": "features.2",
    "split": "train",
    "size": 16,
    "view": "squash",
    "fraction": 0.5,
    "limit": 7,
    "rho": 0.25,
    "data_seed": 3,
    "eps": 1 / 255,
    "alpha": 0.01,
    "steps": 4,
    "random_start": False,
    "mask": "otsu",
    "mask_level": 0.25,
    "seed": 5,
    "targets": "prediction",
    "similarity": "pearson",
    "stability": "none",
    "gamma": 2.0,
    "momentum": 0.5,
    "cap": 3.0,
    "floor": 0.25,
    "bootstrap": 200,
    "method": "hirescam",
    "compat": "pytorch-grad-cam",
    "fuse": "max",
    "smooth": "aug",
    "passes": 3,
    "noise": 0.25,
    "window": 5,
    "stride": 2,
    "draw_seed": 4,
    "precision": "bf16",
    "store_size": "pixels",
    "attack": "mim",
    "norm": "l2",
    "loss": "margin",
    "target_class": "second",
    "restarts": 2,
    "dilate": 1,
    "soft": 1,
}
"""Another valid value of every keyed option; where stages differ in type, see `other`."""
UNKEYED = {"batch_size": 5, "device": "cpu", "threads": 3, "resume": False, "force": False}


def keyed(model):
    """Name the keyed options that have more than one valid value."""
    fields = model.model_fields.items()
    return [n for n, field in fields if is_keyed(model, n) and len(get_args(field.annotation)) != 1]


def other(stage, name):
    return (OTHER[name],) if (stage, name) == ("evaluate", "eps") else OTHER[name]


def needed(name):
    """Return what another value needs besides."""
    return {"eps": 1.0} if name == "norm" else {}


REFUSED = ("entry", "mean", "std", "fold", "challenge", "decay", "sigma", "fill_color")
"""Refused with a model artifact, an image folder, and the default attack."""
CASES = [
    (stage, name)
    for stage, (model, _) in STAGES.items()
    for name in keyed(model)
    if name not in REFUSED
]


@pytest.fixture(scope="module")
def outputs(model, few_options, tmp_path_factory):
    """Every stage's output and the options it was made with."""
    root = tmp_path_factory.mktemp("outputs")
    data = {"data": few_options["data"], "split": "all", "size": 32}
    options = {
        "perturb": {"model": str(model), **data, "steps": 1, "output": root / "adv.zarr"},
        "explain": {
            "model": str(model),
            "samples": root / "adv.zarr",
            "output": root / "cams.zarr",
        },
        "score": {"heatmaps": root / "cams.zarr", "output": root / "weights.zarr"},
        "evaluate": {
            "model": str(model),
            **data,
            "steps": 1,
            "bootstrap": 100,
            "eps": (2 / 255,),
            "output": root / "eval",
        },
    }
    for stage, (config, module) in STAGES.items():
        module.run(config(**options[stage]))
    return options


def call(outputs, stage, reporter, **changes):
    config, module = STAGES[stage]
    return module.run(config(**{**outputs[stage], **changes}), reporter)


@pytest.mark.parametrize(("stage", "name"), CASES)
def test_every_option_that_counts_is_in_the_key(stage, name, outputs, listener):
    with pytest.raises(OutputExistsError):
        call(outputs, stage, listener, **{name: other(stage, name), **needed(name)})
    assert (listener.notes, listener.tasks) == ([], [])


@pytest.mark.parametrize("stage", STAGES)
def test_the_other_options_are_not(stage, outputs, listener):
    fields = STAGES[stage][0].model_fields
    for name, value in UNKEYED.items():
        if name in fields:
            call(outputs, stage, listener, **{name: value})
    assert set(listener.notes) == {f"{outputs[stage]['output']}: up to date"}
    assert listener.tasks == []


@pytest.mark.parametrize("stage", STAGES)
def test_nor_is_where_things_lie(stage, outputs, listener, tmp_path):
    output = outputs[stage]["output"]
    (tmp_path / "link").symlink_to(output.parent)
    moved = {}
    for name, value in outputs[stage].items():
        if isinstance(value, Path):
            moved[name] = tmp_path / "link" / value.name
    call(outputs, stage, listener, **moved)
    assert listener.tasks == []


@pytest.mark.parametrize("stage", ["perturb", "explain", "evaluate"])
def test_pictures_are_in_the_key(stage, outputs, listener, few, tmp_path):
    shutil.copytree(few, tmp_path / "copy")
    data = {"data": f"imagefolder:{tmp_path / 'copy'}", "split": "all"}
    call(outputs, stage, listener, **data)
    assert listener.tasks == []
    picture = tmp_path / "copy" / "3" / "1.png"
    pixels = np.asarray(Image.open(picture)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(picture)
    with pytest.raises(OutputExistsError):
        call(outputs, stage, listener, **data)
