"""What an artifact's key depends on: every option that can change the result, and no other."""

import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig, ScoreConfig
from ectool.errors import InputError, OutputExistsError
from ectool.options import is_keyed
from ectool.stages import evaluate, explain, perturb, score
from ectool.stages.common.found_models import find_model
from ectool.stages.evaluate.one_model import open_variants, recipe_of
from ectool.stages.evaluate.suites.parts import Subject
from ectool.types import SILENT

STAGES = {
    "perturb": (PerturbConfig, perturb),
    "explain": (ExplainConfig, explain),
    "score": (ScoreConfig, score),
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
    "class_order": "text",
    "classes_by_position": True,
    "eps": 1 / 255,
    "alpha": 0.01,
    "steps": 4,
    "random_start": False,
    "mask": "otsu",
    "mask_level": 0.25,
    "mask_smooth": 0.05,
    "object_eps": 1 / 255,
    "seed": 5,
    "targets": "prediction",
    "similarity": "pearson",
    "stability": "none",
    "gamma": 2.0,
    "momentum": 0.5,
    "cap": 3.0,
    "floor": 0.25,
    "draws": 3,
    "bootstrap": 200,
    "method": "hirescam",
    "compat": "pytorch-grad-cam",
    "fuse": "max",
    "smooth": "aug",
    "passes": 3,
    "noise": 0.25,
    "compile": "default",
    "window": 5,
    "stride": 2,
    "draw_seed": 4,
    "precision": "bf16",
    "store_size": "pixels",
    "store": "differences",
    "attack": "mim",
    "norm": "l2",
    "loss": "margin",
    "target_class": "second",
    "restarts": 2,
    "dilate": 1,
    "soft": 1,
}
"""Another valid value of every keyed option of perturb, explain and score."""
OF_EVALUATION = {
    "eps": (1 / 255,),
    "eps_l2": (0.25,),
    "suite": ("sanity",),
    "attacks": ("fgsm",),
    "corruptions": ("fog",),
    "replaced": (0.1,),
    "challenge": True,
    "validation_split": "train",
    "explainers": ("cam",),
    "subset": 5,
    "curve_tolerance": 0.01,
}
"""The same of those of an evaluation that others do not have, or of another type."""
UNKEYED = {"batch_size": 5, "device": "cpu", "threads": 3, "resume": False, "force": False}


def keyed(model):
    """Name the keyed options that have more than one valid value."""
    fields = model.model_fields.items()
    return [n for n, field in fields if is_keyed(model, n) and len(get_args(field.annotation)) != 1]


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
    }
    for stage, (config, module) in STAGES.items():
        module.run(config(**options[stage]))
    return options


def call(outputs, stage, reporter, **changes):
    config, module = STAGES[stage]
    return module.run(config(**{**outputs[stage], **changes}), reporter)


OTHER_IMAGES = {("explain", "size"), ("explain", "view")}
"""Options that show other images than the samples were made of, which is refused as such."""


@pytest.mark.parametrize(("stage", "name"), CASES)
def test_every_option_that_counts_is_in_the_key(stage, name, outputs, listener):
    error = InputError if (stage, name) in OTHER_IMAGES else OutputExistsError
    with pytest.raises(error):
        call(outputs, stage, listener, **{name: OTHER[name], **needed(name)})
    assert (listener.notes, listener.tasks) == ([], [])


@pytest.mark.parametrize("stage", STAGES)
def test_the_other_options_are_not(stage, outputs, listener):
    fields = STAGES[stage][0].model_fields
    for name, value in UNKEYED.items():
        if name in fields:
            assert not call(outputs, stage, listener, **{name: value}).is_new
    assert (listener.notes, listener.tasks) == ([], [])


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


@pytest.mark.parametrize("stage", ["perturb", "explain"])
def test_images_are_in_the_key(stage, outputs, listener, few, tmp_path):
    shutil.copytree(few, tmp_path / "copy")
    data = {"data": f"imagefolder:{tmp_path / 'copy'}", "split": "all"}
    call(outputs, stage, listener, **data)
    assert listener.tasks == []
    image = tmp_path / "copy" / "3" / "1.png"
    pixels = np.asarray(Image.open(image)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(image)
    with pytest.raises(InputError if stage == "explain" else OutputExistsError):
        call(outputs, stage, listener, **data)


@pytest.fixture(scope="module")
def evaluation_key(model, few_options, tmp_path_factory):
    """Return a function that computes an evaluation's key from its options."""
    given = {"model": str(model), **few_options, "output": tmp_path_factory.mktemp("e") / "eval"}

    def key(**changes):
        config = EvaluateConfig(**{**given, **changes})
        variants = open_variants(config, SILENT)
        return recipe_of(Subject(config, find_model(config), variants, SILENT)).key

    return key


@pytest.mark.parametrize(
    "name",
    [n for n in keyed(EvaluateConfig) if n not in ("entry", "mean", "std", "fold", "split")],
)
def test_every_option_of_an_evaluation_is_in_its_key(name, evaluation_key):
    value = OF_EVALUATION.get(name, OTHER.get(name))
    assert evaluation_key(**{name: value}) != evaluation_key()


def test_the_machine_and_the_bounds_are_not(evaluation_key):
    free = {"batch_size": 5, "threads": 3, "resume": True, "force": True, "require": ("a>=1",)}
    for name, value in free.items():
        assert evaluation_key(**{name: value}) == evaluation_key()


def test_an_evaluation_of_the_same_images_grows_and_of_others_is_refused(
    model, few_options, few, tmp_path, listener
):
    given = {"model": str(model), **few_options, "bootstrap": 100, "output": tmp_path / "eval"}
    evaluate.run(EvaluateConfig(**given, suite="classification"))
    before = (tmp_path / "eval" / "predictions.zarr" / "manifest.json").stat().st_mtime_ns
    evaluate.run(EvaluateConfig(**given, suite="classification,localization"), listener)
    assert (tmp_path / "eval" / "predictions.zarr" / "manifest.json").stat().st_mtime_ns == before
    parts = [name.rpartition(": ")[2] for name, _ in listener.tasks]
    assert "perturbed samples" in parts
    assert "predictions" not in parts
    shutil.copytree(few, tmp_path / "copy")
    next((tmp_path / "copy" / "3").iterdir()).unlink()
    others = {**given, "data": f"imagefolder:{tmp_path / 'copy'}"}
    with pytest.raises(OutputExistsError):
        evaluate.run(EvaluateConfig(**others, suite="classification"))
