"""The manual page of the commands, as text for `man`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ectool.cli.commands import COMMANDS, Command
from ectool.cli.main import app
from ectool.cli.signature import COMMON, describe_option, panel_title
from ectool.options import in_order_of_help

Exits = Iterable[tuple[str, str]]
HEAD = [
    '.TH ECTOOL 1 "" ectool "User Commands"',
    ".ad l",
    ".SH NAME",
    r"ectool \- measure and train explanation consistency of image classifiers",
    ".SH SYNOPSIS",
    r".B ectool",
    r"\fICOMMAND\fR [\fIOPTIONS\fR]",
    ".SH DESCRIPTION",
    app.info.help,
    "Values come from flag, then variable (ECTOOL_COMMAND_OPTION), then the file of",
    r"\fB\-\-config\fR, then default.",
    "Standard output carries the path of the artifact, or one JSON document.",
    ".SH COMMANDS",
]
TAIL = [
    ".SH ENVIRONMENT",
    ".TP",
    ".B ECTOOL_DATA",
    "Folder of the data sets.",
    ".TP",
    r".BI ECTOOL_ COMMAND _ OPTION",
    "Value of an option, such as ECTOOL_SCORE_GAMMA.",
]


def render(exits: Exits) -> str:
    """Return the page.

    Args:
        exits: Exit codes with their meanings.
    """
    lines = [*HEAD]
    for name, command in COMMANDS.items():
        lines += _command(name, command)
    lines.append(".SH OPTIONS OF EVERY COMMAND")
    for kind, (_, _, meaning) in COMMON.items():
        lines += _entry(f"--{kind.value}", "", meaning)
    lines.append(".SH EXIT STATUS")
    for code, meaning in exits:
        lines += _entry(code, "", meaning.replace("`", ""))
    return "\n".join([*lines, *TAIL]) + "\n"


def _command(name: str, command: Command) -> Iterator[str]:
    """Yield the lines of a command: help, options by panel, examples."""
    yield f".SS ectool {name}"
    yield _text(command.help)
    panel = None
    for field in in_order_of_help(command.model):
        title = panel_title(command.model, field)
        if title != panel:
            yield from [".PP", f".I {_text(title or '')}"]
            panel = title
        yield from _entry(*describe_option(command.model, field))
    yield from [".PP", ".nf", *map(_text, command.examples), ".fi"]


def _entry(term: str, form: str, meaning: str) -> list[str]:
    """Return the lines of a term with its meaning."""
    value = rf" \fI{_text(form)}\fR" if form else ""
    return [".TP", rf"\fB{_text(term)}\fR{value}", _text(meaning)]


def _text(text: str) -> str:
    """Return text whose backslashes, hyphens and leading dots are no requests of roff."""
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", plain)
