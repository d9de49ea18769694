"""What is printed for people: visible, one line, no markup, and every line of a table."""

from __future__ import annotations

import pytest

from ectool.cli.console import ConsoleReporter, print_error

HOSTILE = "a\x1b[2J\r[link=http://x]b[/link]\u202e\n[red]c"
SHOWN = r"a\x1b[2J [link=http://x]b[/link]\u202e [red]c"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_nothing_from_outside_reaches_a_terminal(is_terminal, capsys, monkeypatch):
    if is_terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "400")
    reporter = ConsoleReporter(quiet=False)
    reporter.note(HOSTILE)
    reporter.warn(HOSTILE)
    reporter.table(["head", HOSTILE.replace("\n", " "), "head"])
    with reporter.task(HOSTILE, 2) as advance:
        advance(1)
    print_error(HOSTILE)
    found = capsys.readouterr().err
    for part in ("\x1b[2J", "\u202e", "\x1b]8"):
        assert part not in found
    assert f"\n{SHOWN}\n" in f"\n{found}"
    assert f"warning: {SHOWN}\n" in found
    assert found.count("head") == 2
    assert f"error: {SHOWN}" in found


def test_messages_are_short(capsys):
    ConsoleReporter(quiet=True).warn("x" * 10_000)
    print_error("first " + "x" * 10_000 + " last")
    lines = capsys.readouterr().err.splitlines()
    assert [len(line) for line in lines] == [500, 500]
    assert lines[1].startswith("error: first x")
    assert lines[1].endswith("x last")
