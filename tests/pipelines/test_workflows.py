"""The Snakemake and the DVC workflow give the bytes of `ectool run`; a second call does nothing."""

from __future__ import annotations

import os
import shutil

import pytest
from cut_experiment import CUT, ROOT, run

from ectool.config import RunConfig
from ectool.stages.run.plan import open_experiment

WORKFLOWS = ROOT / ".venv-workflows" / "bin"
"""Where `make test-workflows` installs the tools, whose versions of packages differ from ours."""
ARMS = """
[experiment.arms.ec]
train = { objective = "ec" }
"""
SCHEDULE = {"file": "cut.toml", "seeds": [0], "warmup": 2, "epochs": 3, "every": 1}
PARAMETERS = """
file: cut.toml
out: dvc
seeds: [0]
threads: 1
warmup: 2
epochs: 3
objectives: [ec]
arms:
  - {name: plain, model: plain}
  - {name: consistency, model: consistency/1}
  - {name: ec, model: ec}
rounds:
  - {number: 1, last: warmup, until: 3}
"""


@pytest.fixture(scope="module")
def place(data_root, tmp_path_factory):
    """A folder with the cut-down experiment, one arm more, and its result from `ectool run`."""
    folder = tmp_path_factory.mktemp("workflows")
    (folder / "cut.toml").write_text(CUT + ARMS)
    run(folder, "ectool", "run", "cut.toml", "--output", "toml")
    return folder


@pytest.fixture
def tool(monkeypatch):
    """A function that returns the path of a tool, or skips the test."""
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")

    def find(name):
        path = shutil.which(name, path=os.pathsep.join([str(WORKFLOWS), os.environ["PATH"]]))
        return path or pytest.skip(f"{name} is not installed: make test-workflows")

    return find


def artifacts(tree, folder):
    """Return the files of the artifacts of the only seed, without marks of the workflow's tool."""
    found = tree(folder / "seed-0")
    return {name: data for name, data in found.items() if "/.snakemake" not in name}


@pytest.mark.slow
def test_snakemake(place, forked, tool, tree):
    given = [f"{name}={value}" for name, value in (SCHEDULE | {"out": "smk"}).items()]
    file = str(ROOT / "pipelines/digits.smk")
    command = [tool("snakemake"), "--snakefile", file, "--cores", "1"]
    command += ["--config", *given, "objectives=[ec]"]
    run(place, *command, programs=forked)
    assert artifacts(tree, place / "smk") == artifacts(tree, place / "toml")
    assert "Nothing to be done" in run(place, *command, programs=forked).stderr


@pytest.mark.slow
def test_dvc(place, forked, tool, tree):
    dvc = tool("dvc")
    shutil.copy(ROOT / "pipelines/dvc/dvc.yaml", place)
    (place / "params.yaml").write_text(PARAMETERS)
    run(place, dvc, "init", "--no-scm", "--quiet")
    run(place, dvc, "repro", programs=forked)
    found = artifacts(tree, place / "dvc")
    assert found == artifacts(tree, place / "toml")
    assert "up to date" in run(place, dvc, "repro", programs=forked).stdout


def test_rounds_and_arms_of_dvc_are_those_of_the_experiment(tmp_path):
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load((ROOT / "pipelines/dvc/params.yaml").read_text())
    file = ROOT / "pipelines/digits.toml"
    experiment = open_experiment(RunConfig(file=file, output=tmp_path / "run"))
    stops = [experiment.schedule[1], *experiment.stops]
    last = ["warmup", *(f"consistency/{number}" for number in range(1, len(stops)))]
    assert (found["warmup"], found["epochs"]) == (stops[0], stops[-1])
    assert found["rounds"] == [
        {"number": number, "last": last[number - 1], "until": stops[number]}
        for number in range(1, len(stops))
    ]
    assert {arm["name"]: arm["model"] for arm in found["arms"]} == {
        name: last[-1] if arm.reweight == "consistency" else name
        for name, arm in experiment.config.arms.items()
    }
    assert tuple(found["seeds"]) == tuple(experiment.config.seeds)
