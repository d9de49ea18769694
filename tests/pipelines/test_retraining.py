"""ROAR and label randomisation run in miniature; their Makefiles have the same commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = """
[train]
model = "smallcnn"
[evaluate]
bootstrap = 100
"""
SETTINGS = {"SEEDS": "0", "SHARES": "0.5", "EPOCHS": "1", "VIEW": "--limit 30"}


@pytest.fixture(scope="module")
def place(data_root, zygote_socket, tmp_path_factory):
    """A folder with a configuration, and an `ectool` that writes down how it is called."""
    folder = tmp_path_factory.mktemp("retraining")
    (folder / "cut.toml").write_text(CONFIG)
    (folder / "bin").mkdir()
    forked = f'exec "{sys.executable}" -IS "{ROOT}/tests/forked.py" "{zygote_socket}" "$@"'
    script = f'#!/bin/sh\necho "ectool $*" >> "{folder}/calls"\n{forked}\n'
    (folder / "bin" / "ectool").write_text(script)
    (folder / "bin" / "ectool").chmod(0o755)
    return folder


def run(folder, *command):
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **SETTINGS, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_both(folder, name):
    """Run the shell script; return its output, its calls, and the calls of the Makefile."""
    (folder / "calls").unlink(missing_ok=True)
    notes = run(folder, "sh", str(ROOT / f"pipelines/{name}.sh"), "cut.toml", name)
    makefile = str(ROOT / f"pipelines/{name}.mk")
    quiet = ("--no-print-directory", "-Bnf")  # inside of another make it tells where it is
    planned = run(folder, "make", *quiet, makefile, "CONFIG=cut.toml", f"OUT={name}")
    calls = (folder / "calls").read_text().splitlines()
    return notes, calls, [" ".join(line.split()) for line in planned.splitlines()]


@pytest.mark.slow
@pytest.mark.slow
def test_roar_trains_on_what_is_left(place):
    _, calls, planned = run_both(place, "roar")
    assert sorted(set(calls)) == sorted(planned)
    arms = ("whole", "heatmaps-0.5", "random-0.5", "centre-0.5")
    for arm in arms:
        results = json.loads((place / "roar/seed-0" / arm / "eval/results.json").read_text())
        assert results["metrics"]["accuracy@original"]["n"] == 30
    page = (place / "roar/report.html").read_text()
    assert all(f"{arm}" in page for arm in arms)


@pytest.mark.slow
def test_label_randomisation_compares_the_heatmaps_of_three_networks(place):
    notes, calls, planned = run_both(place, "label_randomization")
    assert sorted(set(calls)) == sorted(line for line in planned if line.startswith("ectool"))
    assert notes.count("rank_correlation") == 2
    assert notes.count("images: 30") == 2
    trained = [call for call in calls if " train " in call]
    assert [("--shuffle-labels" in call, "--seed 0" in call) for call in trained] == [
        (False, True),
        (False, False),
        (True, True),
    ]
