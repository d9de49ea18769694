"""Outcomes of stages: several as one, and their findings as warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from ectool.cli.console import ConsoleReporter
from ectool.types import Finding, Outcome, merged, warn


@pytest.mark.parametrize("states", [(), (False,), (False, True), (True, True)])
def test_several_outcomes_are_new_where_one_is(states):
    found = merged(Path("all"), [Outcome(Path(f"{n}"), is_new) for n, is_new in enumerate(states)])
    assert found == Outcome(Path("all"), any(states))


def finding(path, text):
    return Finding("name", Path(path), text, "title")


def test_each_finding_of_several_outcomes_is_kept_once_in_order():
    x, y, b = finding("a", "x"), finding("a", "y"), finding("b", "x")
    outcomes = [Outcome(Path("a"), False, (x, y)), Outcome(Path("b"), True, (x, b))]
    assert merged(Path("all"), outcomes).findings == (x, y, b)


@pytest.mark.parametrize("quiet", [False, True])
def test_the_console_prints_each_warning_once_also_if_it_is_quiet(quiet, capsys):
    reporter = ConsoleReporter(quiet=quiet)
    outcome = Outcome(Path("a"), True, (finding("a", "x"), finding("a", "y")))
    warn(outcome, reporter)
    warn(outcome, reporter)
    assert capsys.readouterr().err == "warning: a: x\nwarning: a: y\n"
