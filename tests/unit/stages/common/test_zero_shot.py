"""Zero-shot classifiers in the stages: prompts are in the key, and the head is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from small_clips import TOWERS, both_towers, own_logits, written

import ectool
from ectool.artifacts.store import read_manifest
from ectool.config import AdoptConfig, EvaluateConfig, ExplainConfig, ModelOptions, TrainConfig
from ectool.config.groups import CheckpointOptions
from ectool.errors import InputError, UsageError
from ectool.stages import adopt, evaluate, explain, train
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import open_data
from ectool.stages.common.loaded import load
from ectool.stages.common.model_folder import load_folder
from ectool.stages.common.preflight import check_early
from ectool.stages.common.zero_shot import prompts_of
from ectool.types import Outcome

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TABLE = "[classes]\n" + "".join(f'{n} = "{word}"\n' for n, word in enumerate(WORDS))


@pytest.fixture
def given(tmp_path):
    """The options of a small ViT with prompts of digits."""
    options = written(tmp_path, "vit")
    options["prompts"].write_text('templates = ["the digit {}"]\n' + TABLE)
    return options


def run(stage, config) -> Path:
    outcome = stage.run(config)
    assert isinstance(outcome, Outcome)
    return outcome.path


def test_the_id_follows_from_configuration_weights_and_prompts(given, tmp_path):
    def identity(**changes):
        return find_model(ModelOptions(**{**given, **changes})).id

    first = identity()
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(json.loads(Path(given["model"][9:]).read_text()), indent=3))
    assert identity(model=f"openclip:{moved}") == first
    (tmp_path / "same.toml").write_text("# zero-shot\n" + given["prompts"].read_text())
    assert identity(prompts=tmp_path / "same.toml") == first
    ids = {first, identity(prompts=None)}
    given["prompts"].write_text(TABLE)
    ids.add(identity())
    moved.write_text(json.dumps(json.loads(moved.read_text()) | {"quick_gelu": True}))
    ids.add(identity(model=f"openclip:{moved}"))
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 10}, "--classes 10: expected none with a zero-shot classifier"),
        ({"checkpoint": None}, "expected a model artifact, or an architecture with --checkpoint"),
        (
            {"model": "resnet18"},
            "--prompts: expected a zero-shot classifier, --model open",
        ),
    ],
    ids=str,
)
def test_options_that_do_not_fit(given, change, message):
    with pytest.raises(UsageError, match=message):
        find_model(ModelOptions(**{**given, **change}))


def test_a_tag_is_no_path(given):
    options = ModelOptions(model="openclip:ViT-B-32/openai")
    with pytest.raises(InputError, match="nothing is downloaded: give --model openclip:ViT-B-32"):
        check_early(options)


def test_prompts_of_other_networks():
    assert prompts_of("resnet18", CheckpointOptions()) is None
    with pytest.raises(UsageError, match="got --model timm:x; leave it out"):
        prompts_of("timm:x", CheckpointOptions(prompts=Path("p.toml")))


@pytest.mark.slow
def test_a_folder_is_enough_and_is_the_same(given, few_options, read, tmp_path):
    path = run(adopt, AdoptConfig(**given, output=tmp_path / "mine"))
    given["checkpoint"].rename(tmp_path / "gone.pt")
    model = load_folder(path)
    assert (model.class_names, model.spec.has_names) == (tuple("0123456789"), True)
    assert "0" in json.loads((path / "model.json").read_text())["prompts"]["classes"]
    (tmp_path / "gone.pt").rename(given["checkpoint"])
    maps = [
        read(run(explain, ExplainConfig(**few_options, **one, output=tmp_path / name)))
        for one, name in ((given, "a.zarr"), ({"model": str(path)}, "b.zarr"))
    ]
    assert maps[0]["clean"].any()
    for name in ("clean", "logits_clean"):
        np.testing.assert_array_equal(maps[0][name], maps[1][name])
    with pytest.raises(UsageError, match="--prompts: expected an architecture with --checkpoint"):
        find_model(ModelOptions(model=str(path), prompts=given["prompts"]))


@pytest.mark.slow
def test_the_functions_load_it_with_the_classes_of_the_prompts(given):
    model = ectool.load(**given, device="cpu")
    images = np.random.default_rng(0).random((3, 3, 32, 32), dtype=np.float32)
    reference = find_model(ModelOptions(**given))
    same = load(reference, ModelOptions(**given)).eval()
    assert same.class_names == tuple("0123456789")
    with torch.no_grad():
        torch.testing.assert_close(model(images), same(torch.from_numpy(images)))
    with pytest.raises(InputError, match="names of at least two, got none; give a file with a tab"):
        ectool.load(**{**given, "prompts": None}, device="cpu")


@pytest.mark.slow
class TestTraining:
    def trained(self, tmp_path, few_options, name="t", **options):
        return run(
            train,
            TrainConfig(
                **{"epochs": 1, "batch_size": 10, "optimizer": "adamw", **few_options, **options},
                output=tmp_path / name,
            ),
        )

    def test_only_the_image_tower_learns(self, given, few_options, tmp_path):
        before = load_folder(run(adopt, AdoptConfig(**given, output=tmp_path / "mine")))
        path = self.trained(tmp_path, few_options, model=str(tmp_path / "mine"))
        after = load_folder(path)
        same = {
            name
            for name, value in after.network.state_dict().items()
            if torch.equal(value, before.network.state_dict()[name])
        }
        assert same == {"head.weight", "head.logit_scale"}
        assert after.spec.prompts == before.spec.prompts is not None

    def test_the_prompts_are_in_the_recipe(self, given, few_options, tmp_path):
        path = self.trained(tmp_path, few_options, **given)
        manifest = read_manifest(path)
        texts = manifest.recipe.config["prompt_texts"]
        assert texts["templates"] == ["the digit {}"]
        assert texts["classes"]["3"] == ["three"]
        assert given["model"] not in manifest.recipe.config["model"]
        again = self.trained(tmp_path, few_options, **given)
        assert read_manifest(again).id == manifest.id

    def test_resumed_training_ends_with_the_same_bytes(self, given, few_options, tmp_path):
        given |= {"epochs": 2}
        whole = self.trained(tmp_path, few_options, "whole", **given)
        half = self.trained(tmp_path, few_options, "half", **given, until_epoch=1)
        rest = self.trained(tmp_path, few_options, "rest", **given, resume=half)
        for name in ("model.safetensors", "model.json", "trainer.safetensors"):
            assert (whole / name).read_bytes() == (rest / name).read_bytes()

    def test_without_weights_both_towers_are_random(self, given, few_options, tmp_path):
        options = {n: v for n, v in given.items() if n != "checkpoint"}
        first, second = (
            load_folder(self.trained(tmp_path, few_options, f"seed{seed}", **options, seed=seed))
            for seed in (0, 1)
        )
        assert not torch.equal(first.network.head.weight, second.network.head.weight)

    def test_a_new_head_is_refused(self, given, few_options, tmp_path):
        with pytest.raises(UsageError, match="--reset-head: expected a network with a trained"):
            self.trained(tmp_path, few_options, **given, reset_head=True)


@pytest.mark.slow
@pytest.mark.parametrize("tower", ["vit", "resnet"])
def test_an_evaluation_predicts_as_open_clip(tower, few_options, quick_evaluation, read, tmp_path):
    options = written(tmp_path, tower) | {"prompts": None}
    size = TOWERS[tower]["image_size"]
    few_options = {**few_options, "size": size}
    config = EvaluateConfig(**few_options, **quick_evaluation, **options, output=tmp_path / "e")
    path = run(evaluate, config)
    found = read(path / "predictions.zarr")
    dataset = open_data(config, "all")
    model = load_folder(
        run(
            adopt,
            AdoptConfig(**options, names=dataset.classes, image_size=size, output=tmp_path / "m"),
        )
    )
    images = torch.from_numpy(np.asarray(dataset.images(np.arange(30)))) / 255
    names = [(name,) for name in dataset.classes]
    expected = own_logits(
        both_towers(TOWERS[tower]),
        (images - model.mean) / model.std,
        names,
        ("a photo of a {}.",),
    )
    order = [list(dataset.sample_ids).index(str(name)) for name in found["sample_id"]]
    logits = next(v for k, v in found.items() if k.endswith("logits"))
    torch.testing.assert_close(torch.tensor(logits), expected[order], atol=1e-5, rtol=1e-5)
