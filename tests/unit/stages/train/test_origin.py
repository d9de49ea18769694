"""Training that starts from a model artifact, or from a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from ectool.config import AdoptConfig, TrainConfig
from ectool.errors import InputError, IntegrityError, UsageError
from ectool.models.registry import create
from ectool.stages import adopt, train
from ectool.stages.common.model_folder import load_folder
from ectool.stages.train.origin import with_origin, with_rate

NAMES = ("dark", "light")


@pytest.fixture
def adopted(tmp_path):
    """Return a function that adopts a network of two classes."""

    def make(names=NAMES, scale=1, **options):
        network = create("smallcnn", ("a", "b"), seed=7).network
        with torch.no_grad():
            network.head.weight.mul_(scale)
        torch.save(network.state_dict(), tmp_path / "w.pth")
        config = AdoptConfig(
            **{"model": "smallcnn", "mean": "0,0,0", "image_size": 16, **options},
            checkpoint=tmp_path / "w.pth",
            names=names,
            output=tmp_path / "mine",
        )
        return adopt.run(config).path

    return make


@pytest.fixture
def config(images, tmp_path):
    """Return the options of a short training on the tiny images."""

    def make(**given):
        options = {
            "data": f"imagefolder:{images}",
            "size": 16,
            "epochs": 2,
            "batch_size": 20,
            "device": "cpu",
            "output": tmp_path / "trained",
        }
        return TrainConfig(**{**options, **given})

    return make


def test_a_folder_is_its_architecture_weights_and_normalisation(adopted, config, tmp_path):
    path = adopted(layer="features.3")
    found, origin = with_origin(config(model=str(path)))
    assert (found.model, found.checkpoint) == ("smallcnn", path / "model.safetensors")
    assert (found.mean, found.std, found.layer) == ((0.0,) * 3, (0.25,) * 3, "features.3")
    assert origin is not None
    assert (origin.path, origin.class_names) == (path, NAMES)
    assert with_origin(config(model=str(path), layer="features.0"))[0].layer == "features.0"
    plain = config(model="smallcnn")
    assert with_origin(plain) == (plain, None)


def test_training_starts_from_its_weights(adopted, config, listener):
    path = adopted()
    outcome = train.run(config(model=str(path), lr=1e-12), listener)
    start, end = (load_file(p / "model.safetensors") for p in (path, outcome.path))
    for name, value in start.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(end[name], value, atol=1e-9, rtol=0)
    assert load_folder(outcome.path).spec.mean == (0.0,) * 3
    manifest = json.loads((outcome.path / "manifest.json").read_text())
    (parent,) = manifest["recipe"]["parents"]
    assert (parent["role"], parent["kind"], parent["path"]) == ("model", "model", "mine")
    assert train.run(config(model=str(path), lr=1e-12)).is_new is False


def test_huge_logits_are_warned_of_once(adopted, config, listener):
    train.run(config(model=str(adopted(scale=1e6)), lr=1e-12), listener)
    (warning,) = listener.warnings
    assert warning.startswith("epoch 1: the loss is")
    assert "logits reach" in warning


def test_it_resumes_with_and_without_the_folder(adopted, config, tmp_path):
    path = str(adopted())
    whole = train.run(config(model=path)).path
    half = train.run(config(model=path, until_epoch=1, output=tmp_path / "half")).path
    for name, given in (("with", {"model": path}), ("without", {})):
        rest = train.run(config(**given, resume=half, output=tmp_path / name)).path
        for file in ("model.safetensors", "history.json"):
            assert (rest / file).read_bytes() == (whole / file).read_bytes()


def test_classes_have_to_be_those_of_the_data(adopted, config):
    path = str(adopted(names=NAMES[::-1]))
    with pytest.raises(InputError, match="got them in another order, dark, light; give --reset"):
        train.run(config(model=path))
    path = str(adopted(names=("cat", "dog"), force=True))
    with pytest.raises(InputError, match=r"expected those of .*mine, cat, dog, got dark, light"):
        train.run(config(model=path))
    outcome = train.run(config(model=path, reset_head=True, epochs=1))
    assert load_folder(outcome.path).class_names == NAMES


def test_folders_without_names_are_matched_by_position(adopted, config):
    outcome = train.run(config(model=str(adopted(names=())), epochs=1))
    assert load_folder(outcome.path).class_names == NAMES


@pytest.mark.parametrize("given", [{"checkpoint": "w.pth"}, {"entry": "ema"}, {"mean": "0,0,0"}])
def test_options_of_checkpoints_are_refused(adopted, config, given):
    with pytest.raises(UsageError, match="expected an architecture as --model, got the model art"):
        train.run(config(model=str(adopted()), **given))


def test_adopted_models_cannot_be_resumed(adopted, config):
    with pytest.raises(InputError, match=r"a model of train, got one of adopt.*as --model"):
        train.run(config(resume=adopted()))


def test_missing_and_changed_folders_are_refused(adopted, config, tmp_path):
    with pytest.raises(InputError, match="model artifact, got no folder"):
        train.run(config(model=str(tmp_path / "none")))
    path = adopted()
    (path / "model.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"model\.json"):
        train.run(config(model=str(path)))


def test_networks_with_masks_are_refused(adopted, config):
    path = adopted()
    model = load_folder(path)
    spec = replace(model.spec, masked_layer="features").to_json()
    from ectool.artifacts import folder

    (path / "model.json").write_text(json.dumps(spec))
    folder.seal(path, folder.open_folder(path, "model").recipe)
    with pytest.raises(InputError, match="without masks of templates, got masks at features"):
        train.run(config(model=str(path)))


@pytest.mark.parametrize(
    ("given", "lr"),
    [
        ({}, 0.2),
        ({"optimizer": "adamw"}, 0.2),
        ({"checkpoint": "w.pth"}, 0.01),
        ({"checkpoint": "w.pth", "optimizer": "adamw"}, 1e-3),
        ({"checkpoint": "w.pth", "lr": 0.2}, 0.2),
        ({"checkpoint": "w.pth", "resume": "run/0/model"}, 0.2),
    ],
)
def test_trained_weights_have_a_learning_rate_of_their_own(config, given, lr):
    assert with_rate(config(**given)).lr == lr
