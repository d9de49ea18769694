"""After any kill, the same command finishes with the bytes of an uninterrupted run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

SMALL = ("--shard-size", 32, "--batch-size", 16, "--device", "cpu")
DIGITS = ("--data", "digits", "--split", "validation")
SHARDS = 7  # of 32 samples, the last one smaller

OUTPUTS = {
    "perturb": ("adv.zarr", "adv.h5"),
    "perturb differences": ("differences.zarr", "differences.h5"),
    "explain": ("cams.zarr",),
    "score": ("weights.zarr", "weights.h5"),
    "train": ("model",),
    "evaluate": ("eval",),
}
CASES = [(stage, name) for stage, names in OUTPUTS.items() for name in names]
QUICKLY = {"adv.zarr"}
"""Outputs in the default suite: most others are written as samples are."""
LONGER = ("perturb longer", "longer.zarr")
"""The same with more steps, so that a signal arrives before the end."""
CRASHES = 3
"""Number of crashes before the command may finish."""
CHANGES = {
    **{"perturb": 210, "perturb differences": 210, "explain": 180, "score": 120, "train": 50},
    "evaluate": 300,
}
"""Approximate number of changes of files in an uninterrupted run."""


@pytest.fixture(scope="module")
def commands(model, samples, heatmaps, images, tmp_path_factory):
    """Return every stage's command line but for the output; `evaluate` asks what `train` made."""
    perturb = ["perturb", "--model", model, *DIGITS, *SMALL]
    folder = f"imagefolder:{images}"
    trained = tmp_path_factory.mktemp("trained") / "model"
    shape = ("--size", 16, "--device", "cpu")
    return {
        "perturb": [*perturb, "--steps", 1],
        "perturb differences": [*perturb, "--steps", 1, "--store", "differences"],
        "perturb longer": [*perturb, "--steps", 5],
        "explain": ["explain", "--model", model, "--samples", samples, *SMALL],
        "score": ["score", "--heatmaps", heatmaps, "--shard-size", 32],
        "train": ["train", "--data", folder, *shape, "--epochs", 5, "--batch-size", 16],
        "evaluate": [
            *("evaluate", "--model", trained, "--data", folder, *shape, "--split", "train"),
            *("--suite", "classification,robustness,localization", "--attacks", "pgd"),
            *("--eps", "2/255", "--eps-l2", "", "--steps", 1, "--corruptions", ""),
            *("--shard-size", 16, "--bootstrap", 100),
        ],
    }


@pytest.fixture(scope="module")
def references(zygote, commands, tree, tmp_path_factory):
    """Return the bytes that unbroken runs write."""
    folder = tmp_path_factory.mktemp("reference")
    trained = commands["evaluate"][2]
    zygote.succeed(*commands["train"], "--output", trained)
    for stage, name in (*CASES, LONGER):
        zygote.succeed(*commands[stage], "--output", folder / name)
    return {name: tree(folder / name) for _, name in (*CASES, LONGER)}


def markers(folder: Path) -> int:
    return len(list(folder.glob("*.partial-*/shards/*.json")))


def assert_finishes(zygote, command, output, tree, reference):
    """Call the command once more: it succeeds, with the expected bytes and no other file."""
    zygote.succeed(*command, "--output", output)
    assert tree(output) == reference
    assert [path.name for path in output.parent.iterdir()] == [output.name]


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        pytest.param(*case, marks=[] if case[1] in QUICKLY else [pytest.mark.slow], id=case[1])
        for case in CASES
    ],
)
def test_killed_before_any_change_of_a_file(
    zygote, commands, references, tree, tmp_path_factory, stage, name
):
    """Die right before a file is opened for writing, made, renamed or removed.

    The first crash of each chain lies in the first, second or last third of an unbroken run.
    """
    choose, died = random.Random(f"{stage} {name}"), 0
    for third in range(3):
        folder = tmp_path_factory.mktemp("chain")  # as deep as the reference: paths are relative
        moment = int(CHANGES[stage] * (third + choose.random()) / 3) + 1
        for _ in range(CRASHES):
            process = zygote.start(
                *commands[stage], "--output", folder / name, folder=str(folder), crash_at=moment
            )
            code = process.wait()
            assert code in (0, -signal.SIGKILL), process.log.read_text()
            died += code != 0
            moment = choose.randint(1, CHANGES[stage] // 2)
        assert_finishes(zygote, commands[stage], folder / name, tree, references[name])
    assert died > CRASHES


@pytest.mark.parametrize(("stage", "name"), [LONGER, ("explain", "cams.zarr")])
@pytest.mark.slow
def test_killed_from_outside_at_random_moments(
    zygote, commands, references, tree, tmp_path, stage, name
):
    choose, before = random.Random(stage), 0
    for wanted in (1, 3, 5):
        process = zygote.start(*commands[stage], "--output", tmp_path / name)
        process.wait_until(lambda wanted=wanted: markers(tmp_path) >= wanted)
        process.send(signal.SIGKILL, choose.uniform(0, 0.01))
        assert process.wait() == -signal.SIGKILL
        finished = markers(tmp_path)
        assert before <= finished < SHARDS, "finished shards are never lost"
        before = finished
    assert_finishes(zygote, commands[stage], tmp_path / name, tree, references[name])


def test_training_killed_between_epochs(zygote, commands, references, tree, tmp_path):
    for epoch in (1, 3):
        process = zygote.start(*commands["train"], "--output", tmp_path / "model")
        process.wait_until(
            lambda epoch=epoch: any(tmp_path.glob(f"*.partial-*/epoch-*{epoch}")),
        )
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    assert_finishes(zygote, commands["train"], tmp_path / "model", tree, references["model"])


@pytest.mark.parametrize(
    "sent",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
    ids=["ctrl-c", "terminated"],
)
def test_interrupted_commands_say_so_and_go_on(zygote, commands, references, tree, tmp_path, sent):
    stage, name = LONGER
    command = [*commands[stage], "--output", tmp_path / name]
    for wanted in (1, 4):
        process = zygote.start(*command)
        process.wait_until(lambda wanted=wanted: markers(tmp_path) >= wanted)
        process.send(sent)
        assert process.wait() == 130
        assert process.log.read_text().count("error: interrupted") == 1
        assert "Traceback" not in process.log.read_text()
        assert 0 < markers(tmp_path) < SHARDS
    process = zygote.start(*command)
    assert process.wait() == 0
    assert "continuing" in process.log.read_text()
    assert tree(tmp_path / name) == references[name]


def test_ctrl_c_of_the_installed_program(commands, tmp_path):
    lines = [sys.executable, "-m", "ectool", *(str(part) for part in commands["perturb"])]
    process = subprocess.Popen(
        [*lines, "--output", str(tmp_path / "adv.zarr"), "--shard-size", "8"],
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        while process.poll() is None and not markers(tmp_path):
            time.sleep(0.0005)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        *progress, line = process.stderr.read().splitlines()
        assert line.startswith("error: interrupted; ")
        # Where two seconds have passed, one line says how much is to do.
        assert progress in ([], ["perturb: 200 to do"])
    assert markers(tmp_path)


def test_two_writers_of_one_output(zygote, commands, references, tree, tmp_path):
    """The second one is refused while the first is running, and changes nothing."""
    command = [*commands["perturb"], "--output", tmp_path / "adv.zarr"]
    first = zygote.start(*command)
    first.wait_until(lambda: markers(tmp_path) >= 1)
    first.send(signal.SIGSTOP)
    second = zygote.start(*command)
    code = second.wait()
    first.send(signal.SIGCONT)
    assert code == 4
    (line,) = second.log.read_text().splitlines()
    assert f"expected one process writing it, got process {first.pid} on " in line
    assert first.wait() == 0
    assert tree(tmp_path / "adv.zarr") == references["adv.zarr"]


@pytest.mark.parametrize("name", ["adv.zarr", "adv.h5"])
def test_a_damaged_shard_ends_with_5_and_resume_repairs_it(
    zygote, commands, references, tree, flip, tmp_path, name
):
    output = tmp_path / name
    zygote.succeed(*commands["perturb"], "--output", output)
    if name.endswith(".zarr"):
        flip(output / "image/c/3/0/0/0", 5000)
    else:
        with h5py.File(output) as file:
            chunk = file["image"].id.get_chunk_info(3)
        flip(output, chunk.byte_offset + 5000)
    inspect = zygote.start("inspect", output, "--verify")
    assert inspect.wait() == 5
    assert "shard 3 of `image`" in inspect.log.read_text()
    zygote.succeed(*commands["perturb"], "--output", output, "--resume")
    assert tree(output) == references[name]
    zygote.succeed("inspect", output, "--verify")
