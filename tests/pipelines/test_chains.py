"""The experiment file, the shell script and the Makefile are one training: equal bytes."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_ids import recorded

ROOT = Path(__file__).parents[2]
INSTALLED = Path(sys.executable).parent
CUT = """
[defaults]
data = "digits"
limit = 200
shard_size = 128
threads = 1
[experiment]
seeds = [0]
warmup = 0.34
[experiment.arms.plain]
reweight = "uniform"
[experiment.arms.consistency]
reweight = "consistency"
[train]
model = "smallcnn"
epochs = 3
[perturb]
steps = 1
[score]
similarity = "cosine"
stability = "probability"
[evaluate]
suite = ["classification", "debiasing", "robustness", "localization"]
attacks = ["pgd"]
steps = 1
eps = [0.00784313725490196]
eps_l2 = []
corruptions = []
replaced = []
"""


@pytest.fixture(scope="module")
def place(data_root, tmp_path_factory):
    """A folder with the cut-down experiment file and its result from `ectool run`."""
    folder = tmp_path_factory.mktemp("chains")
    (folder / "cut.toml").write_text(CUT)
    run(folder, "ectool", "run", "cut.toml", "--output", "toml")
    return folder


@pytest.fixture(scope="module")
def forked(zygote_socket, tmp_path_factory):
    """A folder with an `ectool` that the zygote runs: every command is a process of its own."""
    folder = tmp_path_factory.mktemp("bin")
    command = f'exec "{sys.executable}" -IS "{ROOT}/tests/forked.py" "{zygote_socket}" "$@"'
    (folder / "ectool").write_text(f"#!/bin/sh\n{command}\n")
    (folder / "ectool").chmod(0o755)
    return folder


def run(folder, *command, programs=INSTALLED):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(programs), str(INSTALLED), os.environ["PATH"]]),
        "SEEDS": "0",
        "EPOCHS": "3",
        "WARMUP": "2",
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def contents(root, names):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for name in names
        for path in sorted(root.rglob(f"{name}/**/*"))
        if path.is_file() and ".partial-" not in str(path)
    }


def check_same(folder, other, names=("model", "weights.zarr", "adv.zarr", "cams.zarr")):
    expected = {
        name: data
        for name, data in contents(folder / "toml", names).items()
        if "/eval/" not in name
    }
    found = {
        name: data for name, data in contents(folder / other, names).items() if "/eval/" not in name
    }
    assert expected
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_second_run_does_nothing_and_says_so_in_two_seconds(place):
    before = {path: path.stat().st_mtime_ns for path in (place / "toml").rglob("*.safetensors")}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run(place, "ectool", "run", "cut.toml", "--output", "toml")
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, because the time on the clock depends on what else the machine is doing.
    assert now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime < 2
    assert "up to date" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (place / "toml").rglob("*.safetensors")} == before


def test_shell_script_gives_the_same_bytes(place, forked):
    script = str(ROOT / "pipelines/digits.sh")
    run(place, "sh", script, "cut.toml", "shell", programs=forked)
    check_same(place, "shell")
    results = "seed-0/consistency/eval/results.json"
    assert json.loads((place / "shell" / results).read_text()) == json.loads(
        (place / "toml" / results).read_text()
    )


def test_makefile_gives_the_same_bytes(place, forked):
    mk = str(ROOT / "pipelines/digits.mk")
    run(place, "make", "-f", mk, "models", "CONFIG=cut.toml", "OUT=make", programs=forked)
    check_same(place, "make")


class TestRecordedIds:
    """The artifacts are those that an earlier version wrote: nothing is computed anew."""

    recorded = json.loads((ROOT / "tests/pipelines/digits_ids.json").read_text())

    def parts(self, found, what):
        return {name: artifact[what] for name, artifact in found["artifacts"].items()}

    def test_recipes(self, place):
        found = recorded(place / "toml")
        assert self.parts(found, "recipe") == self.parts(self.recorded, "recipe")

    def test_ids(self, place):
        found = recorded(place / "toml")
        if found["arithmetic"] != self.recorded["arithmetic"]:
            pytest.skip(f"recorded with other arithmetic: {self.recorded['arithmetic']}")
        assert self.parts(found, "id") == self.parts(self.recorded, "id")
