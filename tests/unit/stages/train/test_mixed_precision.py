"""`train --precision bf16`: fp32 weights, the same bytes after resuming, and a loss near fp32."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from ectool.artifacts.folder import open_folder
from ectool.config import TrainConfig
from ectool.errors import UsageError
from ectool.stages import train
from ectool.training.objectives import OBJECTIVES

STATE = ("model.safetensors", "trainer.safetensors", "history.json")
SIDE = 16
QUICK = ("cgc", "ec", "trades")
"""Objectives of the default tests: with second derivatives, with heatmaps, with an attack."""


@pytest.fixture(scope="module")
def fit(images, data_root):
    def run(output, name="erm", **given):
        options = {"data": f"imagefolder:{images}", "size": SIDE, "epochs": 3, "batch_size": 8}
        options |= {"limit": 16, "lr": 0.02, "device": "cpu", "objective": name, **given}
        return train.run(TrainConfig(output=output, **options)).path

    return run


def history(model):
    return json.loads((model / "history.json").read_text())


@pytest.fixture(scope="module")
def half(fit, tmp_path_factory):
    return fit(tmp_path_factory.mktemp("half") / "model", precision="bf16")


def test_a_resumed_training_gives_the_same_bytes(half, fit, tmp_path):
    first = fit(tmp_path / "first", precision="bf16", until_epoch=1)
    second = fit(tmp_path / "second", resume=first)
    assert open_folder(second, "model").recipe.config["precision"] == "bf16"
    for name in STATE:
        assert (second / name).read_bytes() == (half / name).read_bytes()


def test_weights_are_fp32_and_the_loss_is_near_that_of_fp32(half, fit, tmp_path):
    full = fit(tmp_path / "full")
    assert "precision" not in open_folder(full, "model").recipe.config
    weights = [load_file(path / "model.safetensors") for path in (half, full)]
    assert {w.dtype for w in weights[0].values() if w.is_floating_point()} == {torch.float32}
    assert any(not torch.equal(a, b) for a, b in zip(*(w.values() for w in weights), strict=True))
    for one, other in zip(history(half), history(full), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.02)


def test_a_training_keeps_its_precision(fit, tmp_path):
    first = fit(tmp_path / "first", until_epoch=1)
    with pytest.raises(UsageError, match=r"--precision: expected fp32 as in .*, got bf16"):
        fit(tmp_path / "second", resume=first, precision="bf16")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in OBJECTIVES]
)
def test_every_objective_learns_in_bf16(name, fit, tmp_path):
    if name == "group-dro":
        pytest.skip("needs groups")
    start = {"objective_start": 0} if name in ("cgc", "ec") else {}
    losses = [
        history(fit(tmp_path / precision, name, precision=precision, epochs=2, **start))
        for precision in ("fp32", "bf16")
    ]
    for full, half in zip(*losses, strict=True):
        assert math.isfinite(half["loss"])
        assert half["loss"] == pytest.approx(full["loss"], rel=0.05)


@pytest.mark.parametrize("method", ["icnn", pytest.param("iccnn", marks=pytest.mark.slow)])
def test_interpretable_filters_learn_in_bf16(method, fit, tmp_path):
    given = {"interpretable": method, "epochs": 1}
    given |= {"interpretable_groups": 4} if method == "iccnn" else {}
    model = fit(tmp_path / "model", precision="bf16", **given)
    assert math.isfinite(history(model)[0]["loss"])
