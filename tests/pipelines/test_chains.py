"""The experiment file, the shell script and the Makefile are one training: equal bytes."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CUT = """
[defaults]
data = "digits"
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
[evaluate]
steps = 1
eps = [0.00784313725490196]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the cut-down experiment file and its result from `ectool run`."""
    folder = tmp_path_factory.mktemp("chains")
    (folder / "cut.toml").write_text(CUT)
    run(folder, "ectool", "run", "cut.toml", "--output", "toml")
    return folder


def environment(folder):
    bin_folder = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": bin_folder + os.pathsep + os.environ["PATH"],
        "ECTOOL_DATA": str(folder / "data"),
        "OMP_NUM_THREADS": "1",
        "SEEDS": "0",
        "EPOCHS": "3",
        "WARMUP": "2",
    }


def run(folder, *command):
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False
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


def test_shell_script_gives_the_same_bytes(place):
    run(place, "sh", str(ROOT / "pipelines/digits.sh"), "cut.toml", "shell")
    check_same(place, "shell")
    results = "seed-0/consistency/eval/results.json"
    assert json.loads((place / "shell" / results).read_text()) == json.loads(
        (place / "toml" / results).read_text()
    )


def test_makefile_gives_the_same_bytes(place):
    mk = str(ROOT / "pipelines/digits.mk")
    run(place, "make", "-f", mk, "models", "CONFIG=cut.toml", "OUT=make")
    check_same(place, "make")
