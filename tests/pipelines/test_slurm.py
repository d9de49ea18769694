"""The scripts for Slurm are valid, and do with a stand-in for Slurm what one process does."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from cut_experiment import INSTALLED, ROOT

SCRIPTS = sorted((*ROOT.glob("pipelines/*.sh"), *ROOT.glob("pipelines/slurm/*")))
STAND_IN = ROOT / "tests" / "slurm_stand_in"
PERTURB = ("perturb", "--data", "digits", "--split", "validation", "--limit", "100", "--steps", "1")
SHARDS = ("--shard-size", "16", "--quiet")
SUBMIT = "pipelines/slurm/shards.sh"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_valid(script):
    subprocess.run(["sh", "-n", str(script)], check=True)
    if found := shutil.which("shellcheck", path=f"{INSTALLED}:{os.environ['PATH']}"):
        subprocess.run([found, str(script)], check=True)


@pytest.fixture
def slurm(tmp_path, monkeypatch, data_root):
    """Return a function that runs a script of the repository, with a stand-in for Slurm."""
    monkeypatch.setenv("SLURM_STAND_IN", str(tmp_path))
    programs = [str(STAND_IN), str(INSTALLED), os.environ["PATH"]]
    monkeypatch.setenv("PATH", os.pathsep.join(programs))

    def run(*command):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def expected(slurm, model, tmp_path):
    """Return the folder of a round of one process."""
    return _round(model, tmp_path / "alone", lambda *words: slurm("ectool", *words))


def _round(model, folder, run):
    """Perturb and explain by a function that runs a command of ectool."""
    network = ("--model", str(model), *SHARDS, "--threads", "1")
    run(*PERTURB, *network, "--output", str(folder / "adv.zarr"))
    samples = ("--samples", str(folder / "adv.zarr"))
    run("explain", *samples, *network, "--output", str(folder / "cams.zarr"))
    return folder


@pytest.mark.slow
def test_nodes_give_the_bytes_of_one_process(slurm, expected, model, tmp_path, tree):
    def submit(*words):
        slurm("sbatch", "--nodes", "2", "pipelines/slurm/ranks.sbatch", *words)

    found = _round(model, tmp_path / "nodes", submit)
    assert tree(found) == tree(expected)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines == [str(found / "adv.zarr"), str(found / "cams.zarr")]


@pytest.mark.slow
def test_an_array_gives_the_bytes_of_one_process(
    slurm, expected, model, tmp_path, tree, monkeypatch
):
    jobs = []

    def submit(*words):
        if jobs:
            monkeypatch.setenv("AFTER", jobs[-1])
        jobs.append(slurm("sh", SUBMIT, "3", *words[: words.index("--threads")], *words[-2:]))

    found = _round(model, tmp_path / "array", submit)
    assert tree(found) == tree(expected)
    assert len(jobs) == len(set(jobs)) == 2


def test_an_array_needs_the_name_of_the_output():
    done = subprocess.run(
        ["sh", str(ROOT / SUBMIT), "3", "perturb"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "shards.sh: give --output OUTPUT, as two words\n"
