"""Chains of commands in a real S3 server: kills, two writers, models and evaluations."""

from __future__ import annotations

import json
import signal
import socket
import time

import pytest

from .conftest import BUCKET, PATIENCE, names

pytestmark = pytest.mark.slow

SCORE = ("score", "--shard-size", 4)


def wait_for_shards(s3, process, count):
    stop = time.monotonic() + PATIENCE
    while sum(name.endswith(".shard") for name in names(s3)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < stop
        time.sleep(0.02)


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_a_chain_in_the_store_equals_the_local_one(suffix, s3, machine, another, heatmaps):
    local = heatmaps.with_name(f"w{suffix}")
    machine.succeed("score", "--heatmaps", heatmaps, "--output", local, "--force")
    machine.succeed("convert", heatmaps, f"s3://{BUCKET}/h{suffix}")
    out = another.succeed("score", "--heatmaps", f"s3://{BUCKET}/h{suffix}", "--force")
    assert out == f"s3://{BUCKET}/weights{suffix}\n"
    assert another.id(out.strip()) == machine.id(local)
    again = another.run("score", "--heatmaps", f"s3://{BUCKET}/h{suffix}")
    assert (again[0], "up to date" in again[2]) == (0, True)
    provenance = json.loads(machine.succeed("inspect", out.strip(), "--json"))["provenance"]
    assert [(one["path"], one["state"]) for one in provenance] == [
        (f"s3://{BUCKET}/h{suffix}", "found")
    ]
    assert [name for name in names(s3) if name.endswith((".lock", ".shard"))] == []


@pytest.mark.parametrize("suffix", [".zarr", ".h5"])
def test_killed_while_writing(suffix, s3, machine, another, heatmaps):
    output = f"s3://{BUCKET}/w{suffix}"
    machine.succeed(*SCORE, "--heatmaps", heatmaps, "--output", output)
    old = machine.id(output)
    command = (*SCORE, "--heatmaps", heatmaps, "--output", output, "--gamma", 2, "--force")
    for count in (5, 40):
        process = machine.start(*command)
        wait_for_shards(s3, process, count)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert machine.id(output) == old
    code, _, err = another.run(*command)
    assert code == 0, err
    local = heatmaps.with_name(f"killed{suffix}")
    machine.succeed(*command[:5], "--output", local, "--gamma", 2, "--force")
    assert another.id(output) == machine.id(local)
    aside = next(name for name in names(s3) if ".old-" in name).removesuffix("/index.json")
    assert machine.id(f"s3://{BUCKET}/{aside}") == old


def test_a_second_writer_is_refused(s3, machine, another, heatmaps):
    command = (*SCORE, "--heatmaps", heatmaps, "--output", f"s3://{BUCKET}/w.zarr")
    first = machine.start(*command)
    wait_for_shards(s3, first, 3)
    first.send_signal(signal.SIGSTOP)  # it must not finish before the second one begins
    code, out, err = another.run(*command)
    assert (code, out) == (4, "")
    assert f"got process {first.pid} on {socket.gethostname()}" in err.splitlines()[-1]
    first.send_signal(signal.SIGCONT)
    _, err = first.communicate()
    assert first.returncode == 0, err


def test_models_and_evaluations(s3, machine, another):
    place = f"s3://{BUCKET}/run"
    data = ("--data", "digits", "--limit", 64, "-q")
    train = ("train", *data, "--epochs", 4, "--output", f"{place}/model")
    process = machine.start(*train)
    wait_for_shards(s3, process, 1)  # the state after the first epoch
    process.kill()
    process.communicate()
    another.succeed(*train)
    evaluate = ("--model", f"{place}/model", *data, "--suite", "classification")
    explain = ("--model", f"{place}/model", *data, "--split", "test", "--shard-size", 16)
    machine.succeed("explain", *explain, "--output", f"{place}/maps.zarr")
    machine.succeed("evaluate", *evaluate, "--output", f"{place}/eval")
    code, _, err = another.run("evaluate", *evaluate, "--output", f"{place}/eval")
    assert code == 0, err
    another.succeed("compare", f"{place}/eval", f"{place}/eval")
    assert another.succeed("report", f"{place}/eval") == f"{place}/eval/report.html\n"
    assert "run/eval/report.html" in names(s3)
    for name in names(s3):
        body = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        assert str(machine.environ["ECTOOL_CACHE"]).encode() not in body, name
