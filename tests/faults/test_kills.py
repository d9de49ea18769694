"""Whatever kills a command, the same command finishes to the bytes of an unbroken run."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ("--shard-size", 32, "--batch-size", 16, "--device", "cpu")
DIGITS = ("--data", "digits", "--split", "validation")
SHARDS = 7  # of 32 samples, the last one smaller


@pytest.fixture(scope="module")
def commands(model, samples, heatmaps, pictures):
    """Return every stage's command line but for the output."""
    return {
        "perturb": ["perturb", "--model", model, *DIGITS, *SMALL],
        "explain": ["explain", "--model", model, "--samples", samples, *SMALL],
        "score": ["score", "--heatmaps", heatmaps, "--shard-size", 32],
        "train": [
            *("train", "--data", f"imagefolder:{pictures}", "--size", 16, "--epochs", 5),
            *("--batch-size", 16, "--device", "cpu"),
        ],
        "evaluate": [
            *("evaluate", "--model", model, *DIGITS, *SMALL, "--eps", "2/255", "--steps", 1),
            *("--bootstrap", 100),
        ],
    }


OUTPUTS = {
    "perturb": ("adv.zarr", "adv.h5"),
    "explain": ("cams.zarr",),
    "score": ("weights.zarr", "weights.h5"),
    "train": ("model",),
    "evaluate": ("eval",),
}
CASES = [(stage, name) for stage, names in OUTPUTS.items() for name in names]


@pytest.fixture(scope="module")
def references(zygote, commands, tree, tmp_path_factory):
    """Return the bytes that unbroken runs write."""
    folder = tmp_path_factory.mktemp("reference")
    for stage, name in CASES:
        assert zygote.run(*commands[stage], "--output", folder / name) == 0
    return {name: tree(folder / name) for _, name in CASES}


def markers(folder: Path) -> int:
    return len(list(folder.glob("*.partial-*/shards/*.json")))


def assert_finishes(zygote, command, folder, name, tree, reference):
    """Call the command once more: it ends well, with the right bytes and nothing beside them."""
    process = zygote.start(*command, "--output", folder / name)
    assert process.wait() == 0, process.log.read_text()
    assert tree(folder / name) == reference
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize(("stage", "name"), CASES, ids=[name for _, name in CASES])
def test_crashes_before_any_change_of_a_file(
    zygote, commands, references, tree, tmp_path_factory, stage, name
):
    """Die right before a file is opened for writing, made, renamed or removed, up to three times.

    The moments are drawn anew in each chain of crashes, from the first change to beyond the last.
    """
    command, choose, died = commands[stage], random.Random(f"{stage} {name}"), 0
    for _ in range(CHAINS[stage]):
        folder = tmp_path_factory.mktemp("chain")  # as deep as the reference's: paths are relative
        for _ in range(3):
            moment = int(choose.expovariate(1 / MEAN_MOMENT[stage])) + 1
            code = zygote.run(
                *command, "--output", folder / name, folder=str(folder), crash_at=moment
            )
            assert code in (0, -signal.SIGKILL)
            died += code != 0
        assert_finishes(zygote, command, folder, name, tree, references[name])
    assert died >= CHAINS[stage]


CHAINS = {"perturb": 3, "explain": 3, "score": 3, "train": 3, "evaluate": 2}
MEAN_MOMENT = {"perturb": 60, "explain": 60, "score": 40, "train": 15, "evaluate": 150}


@pytest.mark.parametrize(("stage", "name"), [("perturb", "adv.zarr"), ("explain", "cams.zarr")])
def test_killed_from_outside_at_random_moments(
    zygote, commands, references, tree, tmp_path, stage, name
):
    choose, seen, midway = random.Random(stage), 0, 0
    for wanted in (1, 3, 5):
        process = zygote.start(*commands[stage], "--output", tmp_path / name)
        code = process.kill_when(
            lambda wanted=wanted: markers(tmp_path) >= wanted,
            signal.SIGKILL,
            choose.uniform(0, 0.02),
        )
        assert code == -signal.SIGKILL
        done = markers(tmp_path)
        assert done >= seen, "finished shards are never lost"
        seen, midway = done, midway + (0 < done < SHARDS)
    assert midway
    assert_finishes(zygote, commands[stage], tmp_path, name, tree, references[name])


def test_training_killed_between_epochs(zygote, commands, references, tree, tmp_path):
    for epoch in (1, 3):
        process = zygote.start(*commands["train"], "--output", tmp_path / "model")
        code = process.kill_when(
            lambda epoch=epoch: any(tmp_path.glob(f"*.partial-*/epoch-*{epoch}")), signal.SIGKILL
        )
        assert code == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    assert_finishes(zygote, commands["train"], tmp_path, "model", tree, references["model"])


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_interrupted_commands_say_so_and_go_on(
    zygote, commands, references, tree, tmp_path, sent
):
    for wanted in (1, 4):
        process = zygote.start(*commands["perturb"], "--output", tmp_path / "adv.zarr")
        code = process.kill_when(lambda wanted=wanted: markers(tmp_path) >= wanted, sent)
        assert code == 130
        assert "interrupted" in process.log.read_text()
        assert "Traceback" not in process.log.read_text()
        assert 0 < markers(tmp_path) < SHARDS
    process = zygote.start(*commands["perturb"], "--output", tmp_path / "adv.zarr")
    assert process.wait() == 0
    assert "going on" in process.log.read_text()
    assert tree(tmp_path / "adv.zarr") == references["adv.zarr"]


def test_two_writers_of_one_output(zygote, commands, references, tree, tmp_path):
    command = [*commands["perturb"], "--output", tmp_path / "adv.zarr"]
    first = zygote.start(*command)
    lines = [sys.executable, "-m", "ectool", *(str(part) for part in command)]
    second = subprocess.run(lines, capture_output=True, text=True, check=False)
    assert first.wait() == 0
    assert (second.returncode, second.stderr.count("\n")) in ((0, 1), (3, 1))
    assert tree(tmp_path / "adv.zarr") == references["adv.zarr"]


def test_a_damaged_shard_is_found_and_computed_again(
    zygote, commands, references, tree, flip, tmp_path
):
    for name, chunk in (("adv.zarr", "image/c/3/0/0/0"), ("adv.h5", None)):
        output = tmp_path / name
        assert zygote.run(*commands["perturb"], "--output", output) == 0
        flip(output / chunk if chunk else output, 60_000)
        inspect = zygote.start("inspect", output, "--verify")
        assert inspect.wait() == 5
        assert "shard" in inspect.log.read_text()
        explain = ["explain", "--model", commands["perturb"][2], "--samples", output]
        assert zygote.run(*explain, "--output", tmp_path / "cams.zarr") == 5
        shutil.rmtree(next(tmp_path.glob("cams.zarr.partial-*")))
        assert zygote.run(*commands["perturb"], "--resume", "--output", output) == 0
        assert tree(output) == references[name]
