"""How an epoch is cut into batches: every sample weighs the same, and none is alone."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from ectool.artifacts.folder import open_folder
from ectool.config import DataOptions, TrainConfig
from ectool.errors import InputError, UsageError
from ectool.models.registry import create
from ectool.stages.common.inputs import open_data
from ectool.stages.common.model_folder import load_folder
from ectool.stages.train import command as train
from ectool.stages.train.inputs import open_inputs
from ectool.training.schedule import epoch_order
from ectool.types import SilentReporter

SIDE, SEED = 16, 3
NETWORK = """
from torch import nn


def plain(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)
    )
"""


def options(images, **given):
    return {
        "data": f"imagefolder:{images}",
        "size": SIDE,
        "epochs": 2,
        "lr": 0.05,
        "seed": SEED,
        "device": "cpu",
        **given,
    }


def fit(output, images, reporter=None, **given):
    config = TrainConfig(output=output, **options(images, **given))
    return train.run(config, reporter or SilentReporter()).path


def cut(samples, size):
    """Return the sizes of the batches, from their definition."""
    steps = math.ceil(samples / size)
    return [samples // steps + (number < samples % steps) for number in range(steps)]


def plain_loop(images, samples, size):
    """Train as anybody would who weighs every sample alike, and know nothing of the trainer."""
    data = open_data(DataOptions(data=f"imagefolder:{images}", size=SIDE, limit=samples), "train")
    images = torch.from_numpy(data.images(np.arange(samples))).float() / 255
    labels = torch.tensor(data.labels)
    model = create("smallcnn", data.classes, seed=SEED, input_size=data.size)
    model = model.train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1, weight_decay=5e-4, momentum=0.9, nesterov=True
    )
    sizes, done, losses = cut(samples, size), 0, []
    total = 2 * len(sizes)
    for epoch in range(2):
        order, first, seen = epoch_order(samples, SEED, epoch), 0, []
        for length in sizes:
            rows = order[first : first + length]
            up = 0.2 * total
            optimizer.param_groups[0]["lr"] = (
                0.05 * (1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / up)) / 2)
                if done < up
                else 0.05 * (1 + math.cos(math.pi * (done - up) / (total - up))) / 2
            )
            pixels = images[rows].contiguous(memory_format=torch.channels_last)
            each = nn.functional.cross_entropy(model(pixels), labels[rows], reduction="none")
            optimizer.zero_grad()
            (each.mean() * (length / (samples / len(sizes)))).backward()
            optimizer.step()
            seen += each.tolist()
            first, done = first + length, done + 1
        losses.append(math.fsum(seen) / samples)
    return model, losses


@pytest.mark.parametrize(("samples", "size"), [(9, 8), (40, 16), (40, 8), (13, 3)])
def test_is_an_independent_loop_bit_by_bit(samples, size, images, data_root, tmp_path):
    model = fit(tmp_path / "m", images, limit=samples, batch_size=size)
    expected, losses = plain_loop(images, samples, size)
    found, state = load_folder(model).network.state_dict(), expected.network.state_dict()
    assert all(torch.equal(found[name], value) for name, value in state.items())
    history = json.loads((model / "history.json").read_text())
    assert [record["loss"] for record in history] == pytest.approx(losses, rel=1e-6)


def test_going_on_after_a_cut_epoch(images, data_root, tmp_path):
    given = {"limit": 9, "batch_size": 8}
    whole = fit(tmp_path / "whole", images, **given)
    first = fit(tmp_path / "first", images, until_epoch=1, **given)
    second = fit(tmp_path / "second", images, resume=first, **given)
    for name in ("model.safetensors", "trainer.safetensors", "history.json"):
        assert (whole / name).read_bytes() == (second / name).read_bytes()


class TestKey:
    def recipe(self, images, output, **given):
        config = TrainConfig(output=output, **options(images, **given))
        return train.make_recipe(config, open_inputs(config, resumed=None))

    @pytest.mark.parametrize(
        ("samples", "size", "differs"), [(9, 8, True), (16, 8, False), (7, 8, False), (8, 8, False)]
    )
    def test_differs_from_that_of_a_short_last_batch_where_the_model_does(
        self, samples, size, differs, images, data_root, tmp_path
    ):
        recipe = self.recipe(images, tmp_path / "m", limit=samples, batch_size=size)
        config = TrainConfig(
            output=tmp_path / "m", **options(images, limit=samples, batch_size=size)
        )
        before = recipe.model_copy(update={"config": config.keyed()})
        assert (recipe.key != before.key) == differs

    def test_resuming_after_a_short_last_batch_is_noted(self, images, data_root, tmp_path):
        given = {"limit": 9, "batch_size": 8}
        first = fit(tmp_path / "first", images, until_epoch=1, **given)
        manifest = open_folder(first, "model")
        config = {n: v for n, v in manifest.recipe.config.items() if n != "batches"}
        recipe = manifest.recipe.model_copy(update={"config": config})
        older = manifest.model_copy(update={"recipe": recipe, "key": recipe.key})
        (first / "manifest.json").write_bytes(older.to_bytes())
        notes, reporter = [], SilentReporter()
        reporter.note = notes.append
        fit(tmp_path / "second", images, reporter, resume=first, **given)
        assert notes[0] == f"{first}: trained with a short last batch; from here on all are even"


class TestBatchesOfOne:
    def test_are_refused_with_batch_normalisation(self, images, data_root, tmp_path):
        with pytest.raises(UsageError, match=r"--batch-size: expected at least 2, .* got 1"):
            fit(tmp_path / "m", images, limit=9, batch_size=1)

    def test_one_image_is_too_few(self, images, data_root, tmp_path):
        with pytest.raises(InputError, match=r"\(train\): expected at least 2 images.* got 1"):
            fit(tmp_path / "m", images, limit=1)
        assert not list(tmp_path.iterdir())

    def test_are_fine_without(self, images, data_root, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "net_of_ones.py").write_text(NETWORK)
        for samples, size in ((3, 1), (1, 8)):
            given = {"model": "import:net_of_ones:plain", "limit": samples, "batch_size": size}
            assert fit(tmp_path / f"m{samples}", images, **given).is_dir()

    def test_two_of_three_are_three(self, images, data_root, tmp_path):
        at_once = fit(tmp_path / "a", images, limit=3, batch_size=3)
        by_two = fit(tmp_path / "b", images, limit=3, batch_size=2)
        name = "model.safetensors"
        assert (at_once / name).read_bytes() == (by_two / name).read_bytes()
