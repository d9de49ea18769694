"""The manual page: complete, and without a warning of groff."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from docs.manpage import render
from ectool.cli.commands import COMMANDS
from ectool.options import flag_of

ROOT = Path(__file__).parents[2]
EXITS = [("0", "done")]


def test_it_has_every_command_option_and_example():
    text = re.sub(r"\\f[BIR]", "", render(EXITS)).replace(r"\-", "-")
    for name, command in COMMANDS.items():
        part = text.partition(f".SS ectool {name}\n")[2].partition("\n.S")[0].split("\n")
        for field in command.model.model_fields:
            assert any(line.split()[:1] == [flag_of(command.model, field)] for line in part), field
        assert set(command.examples) <= set(part)
    assert ".TP\n0\ndone\n" in text


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff")
def test_groff_has_no_warning():
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8"],
        input=render(EXITS),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "ectool perturb --model" in re.sub(r"\x1b\[\d+m", "", done.stdout)


def test_the_wheel_installs_it():
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    places = shared["targets"]["wheel"]["shared-data"]
    assert places == {"docs/man/ectool.1": "share/man/man1/ectool.1"}
    assert (ROOT / "docs/man/ectool.1").exists()
