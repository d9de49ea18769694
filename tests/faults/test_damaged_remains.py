"""What a killed command has left, damaged in any file: the bytes of the result are the same."""

from __future__ import annotations

import os
import random
import shutil
import signal

import pytest

SMALL = ("--shard-size", 32, "--batch-size", 16, "--device", "cpu")
DIGITS = ("--data", "digits", "--split", "validation")

MOMENTS = {
    **{"adv.zarr": 120, "adv.h5": 120, "differences.zarr": 120, "cams.zarr": 100},
    **{"weights.zarr": 60, "weights.h5": 60, "model": 30, "eval": 150, "converted.zarr": 100},
}
"""Approximate number of changes of files in the first half of a run, by its output."""


@pytest.fixture(scope="module")
def commands(model, samples, heatmaps, images, zygote, tmp_path_factory):
    """Return the command line of every stage but for the output, by its output."""
    folder, made = f"imagefolder:{images}", tmp_path_factory.mktemp("made")
    perturb = ["perturb", "--model", model, *DIGITS, *SMALL, "--steps", 1]
    shape = ("--size", 16, "--device", "cpu")
    train = ["train", "--data", folder, *shape, "--epochs", 5, "--batch-size", 16]
    zygote.succeed(*train, "--output", made / "model")
    zygote.succeed(*perturb, "--store", "differences", "--output", made / "differences.zarr")
    score = ["score", "--heatmaps", heatmaps, "--shard-size", 32]
    return {
        "adv.zarr": perturb,
        "adv.h5": [*perturb, "--eps", "auto"],
        "differences.zarr": [*perturb, "--store", "differences"],
        "cams.zarr": ["explain", "--model", model, "--samples", samples, *SMALL],
        "weights.zarr": score,
        "weights.h5": score,
        "model": train,
        "eval": [
            *("evaluate", "--model", made / "model", "--data", folder, *shape, "--split", "train"),
            *("--suite", "classification,robustness", "--attacks", "pgd", "--eps", "2/255"),
            *("--eps-l2", "", "--steps", 1, "--corruptions", "", "--shard-size", 16),
            *("--bootstrap", 100),
        ],
        "converted.zarr": ["convert", "--store", "images", made / "differences.zarr"],
    }


def outputs(name, folder):
    return [folder / name] if name.startswith("converted") else ["--output", folder / name]


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path, at=0.5):
    data = bytearray(path.read_bytes())
    if data:
        data[int(at * len(data))] ^= 1
    path.write_bytes(data)


def deleted(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    (path / "inner").mkdir(parents=True)


def a_link(path):
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES = (emptied, cut, flipped, flipped, deleted, a_folder, a_link)


def killed_halfway(zygote, command, name, folder, choose):
    """Kill a command again and again until it leaves finished work behind."""
    moment = MOMENTS[name]
    for _ in range(20):
        argv = [*command, *outputs(name, folder)]
        process = zygote.start(*argv, folder=str(folder), crash_at=moment)
        code = process.wait()
        found = [path for path in folder.rglob("*.partial-*/*/*") if path.is_file()]
        if code == -signal.SIGKILL and found:
            return
        assert code in (0, -signal.SIGKILL), process.log.read_text()
        if code == 0:
            shutil.rmtree(folder)
            folder.mkdir()
        moment = choose.randint(MOMENTS[name] // 2, int(MOMENTS[name] * 1.5))
    pytest.fail("never killed in time")


@pytest.mark.slow
@pytest.mark.parametrize("name", MOMENTS)
def test_any_damaged_file(zygote, commands, tree, tmp_path_factory, name):
    choose, command = random.Random(name), commands[name]
    folders = [tmp_path_factory.mktemp("damaged") for _ in range(2)]  # paths are relative
    whole, killed = folders
    zygote.succeed(*command, *outputs(name, whole))
    reference = tree(whole)
    killed_halfway(zygote, command, name, killed, choose)
    saved = killed.with_name(killed.name + "-saved")
    shutil.copytree(killed, saved, symlinks=True)
    left = sorted(path.relative_to(killed) for path in killed.rglob("*.partial-*/**/*"))
    assert left
    for path in (path for path in left if (killed / path).is_file()):
        damage = choose.choice(DAMAGES)
        damage(killed / path)
        process = zygote.start(*command, *outputs(name, killed))
        assert process.wait() == 0, (path, damage, process.log.read_text())
        assert tree(killed) == reference, (path, damage)
        shutil.rmtree(killed)
        shutil.copytree(saved, killed, symlinks=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adv.zarr", "model"])
def test_folders_in_place_of_files_and_unreadable_ones(
    zygote, commands, tree, tmp_path_factory, name
):
    """The whole folder, or a part of it, is a file, cannot be read, or is missing."""
    choose, command = random.Random(name), commands[name]
    whole, killed = (tmp_path_factory.mktemp("damaged") for _ in range(2))
    zygote.succeed(*command, *outputs(name, whole))
    reference = tree(whole)
    killed_halfway(zygote, command, name, killed, choose)
    saved = killed.with_name(killed.name + "-saved")
    shutil.copytree(killed, saved, symlinks=True)
    folders = [p for p in sorted(killed.rglob("*")) if p.is_dir() and ".partial-" in str(p)]
    for path in (one.relative_to(killed) for one in folders):
        for content in (b"", None):
            shutil.rmtree(killed / path)
            if content is not None:
                (killed / path).write_bytes(content)
            zygote.succeed(*command, *outputs(name, killed))
            assert tree(killed) == reference, (path, content)
            shutil.rmtree(killed)
            shutil.copytree(saved, killed, symlinks=True)
    if os.geteuid():  # root reads everything
        for path in (one.relative_to(killed) for one in folders):
            (killed / path).chmod(0)
            zygote.succeed(*command, *outputs(name, killed))
            assert tree(killed) == reference, path
            shutil.rmtree(killed)
            shutil.copytree(saved, killed, symlinks=True)
