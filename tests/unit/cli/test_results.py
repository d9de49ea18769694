from __future__ import annotations

import json
from pathlib import Path

import pytest

from ectool.cli.results import check_stdout, told, with_stdout
from ectool.config import CompareConfig, EvaluateConfig
from ectool.errors import UsageError
from ectool.types import Finding, Outcome, Summary

TABLE = {"nll": {"value": "1.5"}}
ODD = Finding("odd", Path("nowhere"), "odd", "odd")
GATE = {"gate": "nll <= 1", "passed": False, "found": "1.5"}


class Notes:
    def __init__(self):
        self.notes = []

    def note(self, message):
        self.notes.append(message)

    def warn(self, message):
        self.notes.append(f"warning: {message}")

    def table(self, lines):
        self.notes += lines


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("evaluate --md", "evaluate --md -"),
        ("evaluate --md --quiet", "evaluate --md - --quiet"),
        ("evaluate --md a.md --quiet", "evaluate --md a.md --quiet"),
        ("evaluate --md - --quiet", "evaluate --md - --quiet"),
        ("evaluate --md=a.md", "evaluate --md=a.md"),
        ("evaluate --quiet", "evaluate --quiet"),
    ],
)
def test_markdown_without_a_file_is_for_stdout(arguments, expected):
    assert with_stdout(arguments.split()) == expected.split()


def test_stdout_gets_one_document():
    options = EvaluateConfig(model="m", output=Path("o"), md=Path("-"))
    with pytest.raises(UsageError, match="--md: expected a file, because --json writes to stdout"):
        check_stdout(options, as_json=True)
    check_stdout(options, as_json=False)
    check_stdout(options.model_copy(update={"md": Path("a.md")}), as_json=True)
    check_stdout(CompareConfig(a="a", b="b"), as_json=True)


def test_people_read_tables_on_stderr_and_programs_json():
    summary, notes = Summary(({}, TABLE), {"gates": [GATE]}), Notes()
    outcome = Outcome(Path("nowhere"), is_new=False, findings=(ODD,), summary=summary)
    assert told(outcome, notes, as_json=False) == b"nowhere\n"
    assert notes.notes == [
        "nowhere: up to date",
        "warning: nowhere: odd",
        "     value",
        "nll    1.5",
    ]
    assert json.loads(told(outcome, notes, as_json=True)) == {
        "artifact": "nowhere",
        "gates": [GATE],
    }


def test_text_replaces_path_and_tables():
    summary, notes = Summary((TABLE,), text="### gates\n"), Notes()
    outcome = Outcome(Path("nowhere"), is_new=True, summary=summary)
    assert told(outcome, notes, as_json=False) == b"### gates\n"
    assert notes.notes == []


def test_gates_of_a_mapping_are_read_on_stderr():
    notes, found = Notes(), {"a": "x", "metrics": TABLE, "passed": False, "gates": [GATE]}
    lines = told(found, notes, as_json=False, table="metrics").decode().splitlines()
    assert lines == ["a: x", "     value", "nll    1.5"]
    assert notes.notes == ["            gate  found", "nll <= 1  MISSED    1.5"]
    assert json.loads(told(found, notes, as_json=True, table="metrics")) == found
    assert told({**found, "markdown": "text\n"}, notes, as_json=False) == b"text\n"
