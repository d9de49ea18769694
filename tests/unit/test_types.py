"""Outcomes of stages: several as one, and their findings as warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool.cli.console import ConsoleReporter
from ectool.types import Outcome, merged, warn


@pytest.mark.parametrize("states", [(), (False,), (False, True), (True, True)])
def test_several_outcomes_are_new_where_one_is(states):
    found = merged(Path("all"), [Outcome(Path(f"{n}"), is_new) for n, is_new in enumerate(states)])
    assert found == Outcome(Path("all"), any(states))


def test_each_finding_of_several_outcomes_is_kept_once_in_order():
    outcomes = [
        Outcome(Path("a"), False, ("a: x", "a: y")),
        Outcome(Path("b"), True, ("a: x", "b")),
    ]
    assert merged(Path("all"), outcomes).findings == ("a: x", "a: y", "b")


def test_the_console_prints_each_warning_once(capsys):
    reporter, outcome = ConsoleReporter(quiet=False), Outcome(Path("a"), True, ("a: x", "a: y"))
    warn(outcome, reporter)
    warn(outcome, reporter)
    assert capsys.readouterr().err == "warning: a: x\nwarning: a: y\n"
