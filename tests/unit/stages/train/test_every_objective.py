"""Every objective as `train` runs it: resumed to the same bytes, and refused where it must be."""

import shutil

import pytest
from safetensors.numpy import load_file

from ectool.artifacts.folder import open_folder
from ectool.config import TrainConfig
from ectool.config.objectives import OBJECTIVE_OPTIONS, ONE_LABEL, OWN_WEIGHTS, START
from ectool.errors import InputError, IntegrityError, UsageError
from ectool.stages import train
from ectool.stages.train.work import begin_of, schedule_of
from ectool.training.objectives import OBJECTIVES

STATE = ("model.safetensors", "trainer.safetensors", "history.json", "objective.safetensors")
SIDE = 16
FAST = {"ec", "group-dro", "masktune"}
"""Objectives in the default suite: those whose state is made up of most parts."""


@pytest.fixture(scope="module")
def folder(images, data_root, tmp_path_factory):
    """A copy of the images, for files beside them."""
    return shutil.copytree(images / "train", tmp_path_factory.mktemp("csv") / "images")


@pytest.fixture(scope="module")
def table(folder):
    """The images as a CSV data set with two groups in each class."""
    return written(
        folder,
        "grouped.csv",
        ["path,label,split,group"]
        + [
            f"{path},{path.parent},train,{path.parent} {'rare' if number % 3 == 0 else 'common'}"
            for number, path in enumerate(paths(folder))
        ],
    )


@pytest.fixture(scope="module")
def plain(table, tmp_path_factory):
    """The model of plain training."""
    return fit(tmp_path_factory.mktemp("plain") / "model", table, "erm")


def paths(folder):
    return sorted(path.relative_to(folder) for path in folder.glob("*/*.png"))


def written(folder, name, lines):
    (folder / name).write_text("\n".join(lines) + "\n")
    return f"csv:{folder / name}"


def fit(output, data, name, **given):
    config = TrainConfig(
        **{
            "data": data,
            "size": SIDE,
            "epochs": 3,
            "batch_size": 8,
            "limit": 16,
            "lr": 0.02,
            "device": "cpu",
            "objective": name,
            "output": output,
            **given,
        }
    )
    return train.run(config).path


def state(model):
    return {name: (model / name).read_bytes() for name in STATE if (model / name).exists()}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in FAST else [pytest.mark.slow]) for n in OBJECTIVES],
)
def test_going_on_after_every_epoch_gives_the_same_bytes(name, table, plain, tmp_path):
    start = {START: 0.3} if START in OBJECTIVE_OPTIONS[name] else {}
    whole = fit(tmp_path / "whole", table, name, **start)
    model = None
    for epoch in (1, 2, 3):
        output = tmp_path / str(epoch)
        model = fit(output, table, name, **start, resume=model, until_epoch=epoch)
    assert state(model) == state(whole)
    is_plain = (plain / STATE[0]).read_bytes() == (whole / STATE[0]).read_bytes()
    assert is_plain == (name == "erm")


def test_the_last_epoch_of_masktune_has_another_learning_rate():
    config = TrainConfig(output="m", objective="masktune", epochs=10, lr=0.4, strength=0.05)
    schedule = schedule_of(config, 7)
    assert begin_of(config) == 9
    assert schedule.rate(8, 6) < 0.002
    assert schedule.rate(9, 0) == schedule.rate(9, 6) == pytest.approx(0.02)


@pytest.mark.parametrize(("epochs", "start", "begin"), [(1, 0.2, 0), (2, 0.9, 1), (10, 0.2, 2)])
def test_an_objective_begins_in_the_last_epoch_at_the_latest(epochs, start, begin):
    config = TrainConfig(output="m", objective="ec", epochs=epochs, objective_start=start)
    assert begin_of(config) == begin


def test_the_learning_rate_of_jtt_starts_again_with_the_second_training():
    config = TrainConfig(output="m", objective="jtt", epochs=10, objective_start=0.3)
    schedule = schedule_of(config, 7)
    assert begin_of(config) == 3
    assert schedule.rate(3, 0) == schedule.rate(0, 0)
    assert schedule.rate(2, 6) < 0.01


def test_the_share_of_attacked_images_is_recorded(table, tmp_path):
    model = fit(tmp_path / "m", table, "adversarial", epochs=1, objective_start=0, mix=0.25)
    assert open_folder(model, "model").recipe.config["mix"] == 0.25


class TestInputs:
    def test_groups_are_needed(self, images, data_root, tmp_path):
        with pytest.raises(InputError, match=r"--objective group-dro: expected a data set with gr"):
            fit(tmp_path / "m", f"imagefolder:{images}", "group-dro")

    @pytest.mark.parametrize("name", sorted(OWN_WEIGHTS))
    def test_own_weights_are_not_weighted(self, name, table, tmp_path):
        with pytest.raises(UsageError, match=rf"--objective {name}: expected no --weights.*w.zarr"):
            fit(tmp_path / "m", table, name, weights=tmp_path / "w.zarr")

    @pytest.mark.parametrize("name", sorted(ONE_LABEL))
    def test_multilabel_data_is_refused(self, name, folder, tmp_path):
        lines = [f"{path},{path.parent},train" for path in paths(folder)]
        data = written(folder, "several.csv", ["path,labels,split", *lines])
        with pytest.raises(UsageError, match=rf"--objective {name}: expected one label per image"):
            fit(tmp_path / "m", data, name)


def test_a_damaged_state_is_found(table, flip, tmp_path):
    first = fit(tmp_path / "first", table, "group-dro", until_epoch=1)
    flip(first / "objective.safetensors", -1)
    with pytest.raises(IntegrityError, match=r"objective\.safetensors"):
        fit(tmp_path / "second", table, "group-dro", resume=first)


def test_groups_of_the_data_set_reach_the_objective(table, tmp_path):
    model = fit(tmp_path / "m", table, "group-dro", step_size=1.0)
    weights = load_file(model / "objective.safetensors")["q"]
    assert len(set(weights.tolist())) == 4
    assert weights.sum() == pytest.approx(1)
