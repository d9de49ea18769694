"""Completion: in real shells where they are installed, without torch, with every known name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ectool.cli.completion import completer
from ectool.config import METHODS, SUITES, EvaluateConfig, TrainConfig
from ectool.config.objectives import OBJECTIVE_OPTIONS
from ectool.models.names import plain_architectures

LINE = ["ectool", "explain", "--method", "xg"]
BASH = """
source script
COMP_WORDS=(ectool explain --method xg)
COMP_CWORD=3
_ectool_completion ectool
echo "${COMPREPLY[@]}"
"""
HEAVY = """
import sys
from ectool.cli.main import main
try: main([])
except SystemExit as end: code = end.code
sys.exit(" ".join({"numpy", "torch", "torchvision", "zarr", "sklearn"} & set(sys.modules)) or code)
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a folder with `ectool`, in the search path, and the script of a shell."""
    path = tmp_path / "ectool"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m ectool "$@"\n')
    path.chmod(0o755)
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), os.environ["PATH"]]))
    return tmp_path


def script_of(shell, folder):
    """Write the script that `ectool --show-completion` prints in a shell."""
    environment = {**os.environ, "_ECTOOL_COMPLETE": f"source_{shell}"}
    done = subprocess.run(["ectool"], env=environment, capture_output=True, text=True, check=True)
    (folder / "script").write_text(done.stdout)
    return done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash(program):
    script_of("bash", program)
    done = subprocess.run(
        ["bash", "-c", BASH], cwd=program, capture_output=True, text=True, check=True
    )
    assert done.stdout == "xgradcam\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish(program):
    script_of("fish", program)
    command = f"source script; complete -C '{' '.join(LINE)}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", command],
        cwd=program,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "xgradcam\n"


def test_zsh(program):
    script = script_of("zsh", program)
    if shutil.which("zsh"):
        subprocess.run(["zsh", "-n", program / "script"], check=True)
    assert "compdef _ectool_completion ectool" in script
    environment = {
        **os.environ,
        "_ECTOOL_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": " ".join(LINE),
    }
    done = subprocess.run(
        [sys.executable, "-c", HEAVY], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "_arguments '*: :((\"xgradcam\"))'\n"


@pytest.mark.slow
def test_it_is_fast():
    environment = {
        **os.environ,
        "_ECTOOL_COMPLETE": "complete_bash",
        "COMP_WORDS": "ectool train --model resnet",
        "COMP_CWORD": "3",
    }

    def seconds():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ectool"], env=environment, check=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.5


class TestValues:
    @pytest.mark.parametrize(
        ("model", "name", "known"),
        [
            (EvaluateConfig, "method", METHODS),
            (EvaluateConfig, "suite", SUITES),
            (EvaluateConfig, "view", ("crop", "squash")),
            (TrainConfig, "objective", tuple(OBJECTIVE_OPTIONS)),
            (TrainConfig, "model", plain_architectures()),
        ],
    )
    def test_all_known_ones(self, model, name, known):
        assert completer(model, name)("") == list(known)

    def test_the_last_of_several(self):
        complete = completer(EvaluateConfig, "suite")
        assert complete("sanity,de") == ["sanity,debiasing"]
        assert complete("nothing") == []

    @pytest.mark.parametrize("name", ["output", "checkpoint", "size", "force"])
    def test_paths_and_numbers_are_left_to_the_shell(self, name):
        assert completer(TrainConfig, name) is None
