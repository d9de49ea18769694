"""The help of every command: panels, order, forms of values, examples."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time

import pytest

from ectool.cli.commands import COMMANDS
from ectool.cli.main import app, main, resolved
from ectool.cli.signature import describe_option
from ectool.options import in_order_of_help, is_argument, panel_of

MAX_OPTIONS = 15
"""Maximum number of options in the first panel, --help included."""
EXAMPLES = [(name, line) for name, command in COMMANDS.items() for line in command.examples]
LOAD = """
import sys
from ectool.cli.main import app
from ectool.cli.commands import COMMANDS
for name in ("", *COMMANDS):
    app(args=[*name.split(), "--help"], standalone_mode=False)
heavy = {"numpy", "torch", "torchvision", "zarr", "h5py", "sklearn", "scipy", "matplotlib"}
sys.exit(" ".join(heavy & set(sys.modules)) or 0)
"""


@pytest.mark.parametrize("name", COMMANDS)
class TestPanels:
    def test_first_panel_is_short(self, name):
        model = COMMANDS[name].model
        shown = [
            field
            for field in model.model_fields
            if panel_of(model, field) == "" and not is_argument(model, field)
        ]
        assert len(shown) + 1 <= MAX_OPTIONS, (
            f"`ectool {name} --help` shows {len(shown) + 1} options in its first panel: declare "
            f"the new one in ectool/config with `panel=...`, without `main=True`: {shown}"
        )

    def test_required_options_are_first(self, name):
        model = COMMANDS[name].model
        fields = [f for f in in_order_of_help(model) if not is_argument(model, f)]
        required = [model.model_fields[field].is_required() for field in fields]
        assert required == sorted(required, reverse=True)
        assert sorted(in_order_of_help(model)) == sorted(model.model_fields)

    def test_advanced_options_are_last(self, name):
        model = COMMANDS[name].model
        fields = [f for f in in_order_of_help(model) if not is_argument(model, f)]
        panels = [panel_of(model, field) for field in fields]
        is_advanced = [panel != "" for panel in panels]
        assert is_advanced == sorted(is_advanced)
        assert all(re.fullmatch(r"[a-z ]*", panel) for panel in panels)

    def test_every_value_has_a_form(self, name):
        model = COMMANDS[name].model
        for field in model.model_fields:
            _, form, _ = describe_option(model, field)
            is_switch = model.model_fields[field].annotation in (bool, bool | None)
            assert bool(form) != is_switch, field
            assert form not in ("TEXT", "STR"), field

    def test_has_an_example(self, name):
        examples = COMMANDS[name].examples
        assert examples, f"give `ectool {name}` an example in ectool/cli/commands.py"
        assert all(
            line.startswith(f"ectool {name} ") or line == f"ectool {name}" for line in examples
        )


@pytest.mark.parametrize(("name", "line"), EXAMPLES)
def test_examples_are_valid(name, line):
    """They pass the parser, and the check of the options; nothing is run."""
    call = app(args=shlex.split(line)[1:], standalone_mode=False)
    parsed, values = call.args
    assert parsed == name
    resolved(name, values)


def test_examples_end_the_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    app(args=["evaluate", "--help"], standalone_mode=False)
    end = capsys.readouterr().out.rpartition("Examples:")[2]
    assert [line.strip() for line in end.split("\n") if line.strip()] == list(
        COMMANDS["evaluate"].examples
    )


def test_no_help_imports_heavy_libraries():
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_fast(name):
    """The best of five, because other programs may be at work."""
    command = [sys.executable, "-m", "ectool", *name.split(), "--help"]

    def seconds():
        start = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.5


def test_version():
    done = subprocess.run(
        [sys.executable, "-m", "ectool", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"ectool \d+\.\d+\.\d+\S*\n", done.stdout)


def test_without_a_command_the_help_is_shown(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    out, err = capsys.readouterr()
    assert (stop.value.code, err) == (2, "")
    assert all(name.split()[0] in out for name in COMMANDS)
