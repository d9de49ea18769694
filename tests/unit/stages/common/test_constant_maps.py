"""Networks without feature maps, with few positions or other channels, stage by stage."""

import os

import numpy as np
import pytest
import torch
from torch import nn

from ectool.artifacts.store import read_manifest
from ectool.config import EvaluateConfig, ExplainConfig, PerturbConfig, TrainConfig
from ectool.errors import EctoolError, InputError
from ectool.stages import evaluate, explain, perturb, train
from ectool.stages.evaluate.results import read_metrics

SIDE, CLASSES = 32, 10
QUICK = {"steps": 1, "eps_l2": (), "corruptions": (), "bootstrap": 100}


class Perceptron(nn.Sequential):
    """A multi-layer perceptron; it holds no feature map."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(3 * SIDE**2, 8), nn.ReLU(), nn.Linear(8, CLASSES))


class LeNet(nn.Sequential):
    """LeNet-5 for 32 x 32 pixels, and for no others."""

    def __init__(self, channels=3):
        super().__init__(
            *(nn.Conv2d(channels, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, CLASSES)),
        )


class Pointwise(nn.Module):
    """Its only feature map has one position."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, SIDE)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images):
        return self.head(self.conv(images).relu().flatten(1))


class Constant(nn.Module):
    """Its feature map is zero, whatever the image shows."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, 4)
        self.head = nn.Linear(4, CLASSES)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.zero_()

    def forward(self, images):
        return self.head(self.conv(images).relu().mean((2, 3)))


def grey():
    return LeNet(channels=1)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(os.path.dirname(__file__))  # noqa: PTH120 (a path of import)


def named(factory):
    return f"import:{__name__.rpartition('.')[2]}:{factory.__name__}"


@pytest.fixture
def foreign(tmp_path):
    """Return a function that writes the weights of a network and tells how it is loaded."""

    def write(factory):
        torch.manual_seed(0)
        weights = tmp_path / "weights.pth"
        torch.save(factory().state_dict(), weights)
        return {
            **{"model": named(factory), "checkpoint": weights, "classes": CLASSES},
            **{"mean": (0, 0, 0), "std": (1, 1, 1)},
        }

    return write


def test_a_perceptron_is_trained_evaluated_and_perturbed_without_heatmaps(few_options, tmp_path):
    given = {k: v for k, v in few_options.items() if k != "split"}
    model = train.run(
        TrainConfig(model=named(Perceptron), epochs=1, output=tmp_path / "model", **given)
    ).path
    suites, options = ("classification", "robustness"), {**few_options, "trust_code": True}
    config = EvaluateConfig(
        model=str(model), suite=suites, attacks=("pgd",), output=tmp_path / "eval",
        **QUICK, **options,
    )  # fmt: skip
    metrics = read_metrics(evaluate.run(config).path)
    assert 0 <= metrics["accuracy@original"]["value"] <= 1
    full = PerturbConfig(
        model=str(model), mask="full", steps=1, output=tmp_path / "full.zarr", **options
    )
    assert perturb.run(full).path.exists()
    with pytest.raises(EctoolError, match="spatial grid"):
        explain.run(ExplainConfig(model=str(model), output=tmp_path / "c.zarr", **options))


def test_a_lenet_for_32_pixels_goes_through_every_stage(few_options, tmp_path, read):
    given = {k: v for k, v in few_options.items() if k != "split"}
    model = str(
        train.run(
            TrainConfig(model=named(LeNet), epochs=1, output=tmp_path / "model", **given)
        ).path
    )
    trusted = {"model": model, "trust_code": True}
    pairs = perturb.run(
        PerturbConfig(steps=1, output=tmp_path / "adv.zarr", **trusted, **few_options)
    ).path
    maps = explain.run(
        ExplainConfig(samples=pairs, device="cpu", output=tmp_path / "cams.zarr", **trusted)
    ).path
    clean = read(maps)["clean"]
    assert np.ptp(clean, axis=(1, 2)).max() > 0
    config = EvaluateConfig(
        suite=("classification", "localization"), output=tmp_path / "eval",
        **trusted, **QUICK, **few_options,
    )  # fmt: skip
    assert "accuracy@original" in read_metrics(evaluate.run(config).path)


@pytest.mark.parametrize("stage", ["explain", "perturb", "full", "evaluate"])
def test_a_grey_network_is_refused_for_its_channels(stage, foreign, few_options, tmp_path):
    given = {**foreign(grey), **few_options, "output": tmp_path / "out.zarr"}
    run = {
        "explain": lambda: explain.run(ExplainConfig(**given)).path,
        "evaluate": lambda: evaluate.run(EvaluateConfig(suite=("classification",), **given)).path,
        "perturb": lambda: perturb.run(PerturbConfig(steps=1, **given)).path,
        "full": lambda: perturb.run(PerturbConfig(mask="full", steps=1, **given)).path,
    }[stage]
    with pytest.raises(InputError, match=r"channel") as refused:
        run()
    assert "\n" not in str(refused.value)


def test_training_a_grey_network_is_refused_for_its_channels(few_options, tmp_path):
    given = {k: v for k, v in few_options.items() if k != "split"}
    with pytest.raises(InputError, match=r"channel"):
        train.run(TrainConfig(model=named(grey), epochs=1, output=tmp_path / "model", **given))


@pytest.mark.parametrize("stage", ["explain", "perturb"])
def test_constant_heatmaps_are_counted_and_found_once(
    stage, foreign, few_options, tmp_path, listener
):
    given = {**foreign(Constant), **few_options, "output": tmp_path / "out.zarr"}
    if stage == "explain":
        outcome = explain.run(ExplainConfig(shard_size=8, **given), listener)
    else:
        outcome = perturb.run(PerturbConfig(steps=1, shard_size=8, **given), listener)
    found = read_manifest(outcome.path).all_findings()
    assert not [note for note in listener.notes if "heatmaps" in note]
    if stage == "explain":
        assert found["zero_maps_clean"] == 30
        assert [one.name for one in outcome.findings] == ["zero-heatmaps"]
        return
    assert found["constant_heatmaps"] == 30
    (one,) = [one for one in outcome.findings if one.name == "constant-heatmaps"]
    assert str(one).startswith(f"{outcome.path}: 30 heatmaps are constant")


def test_a_network_of_one_position_is_refused(foreign, few_options, tmp_path):
    given = {**foreign(Pointwise), **few_options, "output": tmp_path / "out.zarr"}
    with pytest.raises(EctoolError, match="spatial grid"):
        explain.run(ExplainConfig(**given))
