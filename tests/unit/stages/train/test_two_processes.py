"""`train` in two real processes against one."""

from __future__ import annotations

import json
import os
import signal
import socket
import time

import numpy as np
import pytest
from forked import Command
from safetensors.numpy import load_file

from ectool.artifacts.folder import open_folder

SMALL = ["--size", "16", "--limit", "13", "--batch-size", "6", "--lr", "0.02", "--threads", "1"]
FILES = ("model.safetensors", "trainer.safetensors", "objective.safetensors")


@pytest.fixture
def start(zygote_socket, images, tmp_path, monkeypatch):
    """Return a function that starts `train` in some processes, each with its own log."""

    def started(size, output, *options):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        places = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}
        argv = ["train", "--data", f"imagefolder:{images}", "--output", str(output)]
        argv += ["--device", "cpu", *SMALL, *options]
        processes = []
        for rank in range(size):
            with monkeypatch.context() as patch, (tmp_path / f"{rank}.log").open("wb") as log:
                for name, value in ({**places, "RANK": str(rank)} if size > 1 else {}).items():
                    patch.setenv(name, value)
                processes.append(Command(zygote_socket, argv, (log.fileno(), log.fileno())))
        return processes

    def finished(size, output, *options):
        codes = [process.wait() for process in started(size, output, *options)]
        assert codes == [0] * size, logs(tmp_path)
        return output

    finished.started = started
    return finished


def logs(folder):
    return [path.read_text() for path in sorted(folder.glob("*.log"))]


def assert_same(found, expected, tolerance=1e-4):
    """Compare weights, optimizer, objective and learning curves."""
    for name in FILES:
        if (expected / name).exists():
            ours, theirs = load_file(found / name), load_file(expected / name)
            assert ours.keys() == theirs.keys()
            for key, values in theirs.items():
                np.testing.assert_allclose(ours[key], values, rtol=tolerance, atol=tolerance)
    curves = [json.loads((model / "history.json").read_text()) for model in (found, expected)]
    for ours, theirs in zip(*curves, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_two_processes_train_the_model_of_one(start, tmp_path):
    options = ["--epochs", "2", "--objective", "ec-cam", "--flip"]
    two = start(2, tmp_path / "two", *options)
    first, second = logs(tmp_path)
    assert "epoch 2 of 2" in first
    assert second == ""
    one = start(1, tmp_path / "one", *options)
    assert_same(two, one)
    manifests = [open_folder(model, "model") for model in (two, one)]
    assert manifests[0].key == manifests[1].key
    assert manifests[0].machine["processes"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_rank_ends_the_others_and_any_number_goes_on(start, tmp_path, killed, after):
    options = ["--epochs", "12", "--objective", "random"]
    output = tmp_path / "model"
    processes = start.started(2, output, *options)
    end = time.monotonic() + 60
    while not list(tmp_path.glob("model.partial-*/epoch-0000[2-9]")):
        assert time.monotonic() < end, logs(tmp_path)
        time.sleep(0.001)
    os.kill(processes[killed].pid, signal.SIGKILL)
    codes = [process.wait() for process in processes]
    assert codes[killed] == -signal.SIGKILL
    assert codes[1 - killed] > 0
    assert "another process of this job" in logs(tmp_path)[1 - killed] or killed == 0
    assert not output.exists()
    assert_same(start(after, output, *options), start(1, tmp_path / "one", *options), 1e-3)


@pytest.mark.slow
def test_a_model_of_two_processes_is_resumed_by_one(start, tmp_path):
    options = ["--epochs", "3", "--objective", "ec"]
    first = start(2, tmp_path / "first", *options, "--until-epoch", "1")
    second = start(1, tmp_path / "second", "--resume", str(first))
    assert_same(second, start(1, tmp_path / "whole", *options))


@pytest.mark.slow
def test_perturbed_images_and_weights_reach_every_process(start, tmp_path, zygote_socket, images):
    def run(*argv):
        with (tmp_path / "stage.log").open("wb") as log:
            argv = [str(part) for part in argv]
            assert Command(zygote_socket, argv, (log.fileno(), log.fileno())).wait() == 0

    model = start(1, tmp_path / "model", "--epochs", "2", "--until-epoch", "1")
    samples, maps, weights = (tmp_path / f"{name}.zarr" for name in ("adv", "cams", "weights"))
    data = ["--data", f"imagefolder:{images}", "--size", "16", "--limit", "13"]
    run("perturb", "--model", model, *data, "--split", "train", "--output", samples)
    run("explain", "--model", model, "--samples", samples, "--output", maps)
    run("score", "--heatmaps", maps, "--output", weights)
    options = ["--resume", str(model), "--samples", str(samples), "--weights", str(weights)]
    two = start(2, tmp_path / "two", *options)
    assert_same(two, start(1, tmp_path / "one", *options))


@pytest.mark.slow
def test_the_up_to_date_model_is_found_by_all(start, tmp_path):
    options = ["--epochs", "1"]
    output = start(2, tmp_path / "model", *options)
    before = (output / "manifest.json").stat().st_mtime_ns
    start(2, output, *options)
    assert (output / "manifest.json").stat().st_mtime_ns == before
