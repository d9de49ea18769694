"""Training with interpretable filters: resumed to the same bytes, and its models come back."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from ectool.config import TrainConfig
from ectool.errors import UsageError
from ectool.models.layers.template_masks import mask_maps
from ectool.stages import train
from ectool.stages.common.model_folder import load_folder

SIDE = 16


@pytest.fixture(scope="module")
def fit(images, data_root):
    def fit(output, **given):
        options = {
            "data": f"imagefolder:{images}",
            "size": SIDE,
            "epochs": 3,
            "batch_size": 16,
            "device": "cpu",
            **given,
        }
        return train.run(TrainConfig(output=output, **options)).path

    return fit


METHODS = {
    "icnn": {"interpretable": "icnn"},
    "iccnn": {"interpretable": "iccnn", "interpretable_groups": 4, "interpretable_every": 2},
}


def contents(model):
    names = ("model.safetensors", "trainer.safetensors", "objective.safetensors", "history.json")
    return {name: (model / name).read_bytes() for name in names}


OBJECTIVES = {
    "icnn": {"objective": "lff"},  # trains a copy of the model
    "iccnn": {"objective": "focal", "objective_start": 0.34},
}


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_training_gives_the_same_bytes(name, fit, tmp_path):
    options = {**METHODS[name], **OBJECTIVES[name]}
    whole = fit(tmp_path / "whole", **options)
    fit(tmp_path / "first", until_epoch=1, **options)
    resumed = fit(tmp_path / "second", resume=tmp_path / "first", epochs=3)
    assert contents(resumed) == contents(whole)


def test_the_loss_of_the_filters_changes_the_weights(fit, tmp_path):
    options = METHODS["iccnn"]
    plain = fit(tmp_path / "plain", epochs=1)
    without = fit(tmp_path / "without", epochs=1, interpretable_strength=0, **options)
    strong = fit(tmp_path / "strong", epochs=1, interpretable_strength=1, **options)
    weights = [load_file(path / "model.safetensors") for path in (plain, without, strong)]
    assert all(torch.equal(a, b) for a, b in zip(*(w.values() for w in weights[:2]), strict=True))
    assert not torch.equal(weights[0]["head.weight"], weights[2]["head.weight"])


def test_a_model_with_masks_comes_back_with_them(fit, tmp_path):
    path = fit(tmp_path / "model", interpretable_layer="features.11", **METHODS["icnn"])
    assert json.loads((path / "model.json").read_text())["masked_layer"] == "features.11"
    model = load_folder(path).eval()
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    values = (images - model.mean) / model.std
    for number, module in enumerate(model.network.features):
        values = torch.relu(values) if number == 11 else module(values)
    expected = model.network.head(mask_maps(values).mean((2, 3)))
    torch.testing.assert_close(model(images), expected)


def test_masks_can_begin_after_plain_epochs(fit, tmp_path):
    plain = fit(tmp_path / "plain", until_epoch=1)
    path = fit(tmp_path / "model", resume=plain, **METHODS["icnn"])
    assert load_folder(path).spec.masked_layer == "features"
    assert len(json.loads((path / "history.json").read_text())) == 3


def test_a_resumed_training_keeps_its_filters(fit, tmp_path):
    fit(tmp_path / "first", until_epoch=1, **METHODS["icnn"])
    with pytest.raises(UsageError, match=r"--interpretable: expected icnn as in .*got iccnn"):
        fit(tmp_path / "second", resume=tmp_path / "first", **METHODS["iccnn"])
