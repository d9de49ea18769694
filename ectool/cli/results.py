"""Results of commands: one document on stdout, tables for people on stderr."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ectool.cli import streams
from ectool.cli.printer import Printer
from ectool.cli.text import nested_lines
from ectool.config import STDOUT, GateOptions
from ectool.errors import UsageError
from ectool.options import Options
from ectool.reports.columns import table_lines
from ectool.types import Outcome, Summary, warn

MARKDOWN = "--md"
GATES = ("passed", "gates")
"""Entries of a document that people read on stderr."""


def with_stdout(arguments: Sequence[str]) -> list[str]:
    """Return arguments with the name of stdout after each `--md` without a file."""
    found = []
    for argument, following in zip(arguments, [*arguments, "--"][1:], strict=True):
        is_bare = argument == MARKDOWN and following.startswith("--")
        found += [argument, str(STDOUT)] if is_bare else [argument]
    return found


def check_stdout(options: Options, *, as_json: bool) -> None:
    """Check that stdout gets one document.

    Raises:
        UsageError: It would get JSON and Markdown.
    """
    if as_json and isinstance(options, GateOptions) and options.md == STDOUT:
        raise UsageError(
            MARKDOWN,
            expected="a file, because --json writes to stdout",
            got="stdout",
            fix="name a file, or leave out --json",
        )


def told(result: object, reporter: Printer, *, as_json: bool, table: str | None = None) -> bytes:
    """Print notes and tables of a result on stderr; return the bytes for stdout.

    Args:
        result: As a stage returns it: an outcome, a mapping, or only a summary.
        reporter: Prints on stderr.
        as_json: Whether stdout gets JSON.
        table: Key of a mapping that is printed as a table, row by row.
    """
    if isinstance(result, Summary):
        for one in result.tables:
            _print_table(one, reporter)
        return json.dumps(result.document, indent=1).encode() + b"\n" if as_json else b""
    if isinstance(result, Outcome):
        _report(result, reporter)
        return _of_path(result.path, result.summary, as_json=as_json) + b"\n"
    return _of_mapping(cast(Mapping[str, Any], result), reporter, table, as_json=as_json) + b"\n"


def _report(outcome: Outcome, reporter: Printer) -> None:
    """Print `up to date`, findings, and tables, unless stdout has them, on stderr."""
    if not outcome.is_new:
        reporter.note(f"{outcome.path}: up to date")
    warn(outcome, reporter)
    if outcome.summary and outcome.summary.text is None:
        for table in outcome.summary.tables:
            _print_table(table, reporter)


def _print_table(table: Mapping[str, Mapping[str, object]], reporter: Printer) -> None:
    if table:
        reporter.table(table_lines(table))


def _of_path(path: Path, summary: Summary | None, *, as_json: bool) -> bytes:
    """Return the path of a result, or the text in its place; as JSON its description.

    The bytes of a path are those of the file system, in any encoding of stdout.
    """
    if not as_json:
        text = summary.text if summary else None
        return os.fsencode(path) if text is None else streams.encode(text.rstrip("\n"))
    describe = importlib.import_module("ectool.stages.tools.describe")
    document = dict(summary.document) if summary else {}
    return json.dumps({**describe.artifact(path), **document}, indent=1).encode()


def _of_mapping(
    found: Mapping[str, Any], reporter: Printer, table: str | None, *, as_json: bool
) -> bytes:
    """Return a mapping as lines of text, with one of its entries as a table; or as JSON."""
    if as_json:
        return json.dumps(found, indent=1).encode()
    if "markdown" in found:
        return streams.encode(found["markdown"].rstrip("\n"))
    gates = {gate["gate"]: _outcome(gate) for gate in found.get("gates", ())}
    _print_table(gates, reporter)
    rows = [] if table is None else table_lines(found[table])
    lines = nested_lines({n: v for n, v in found.items() if n not in (table, *GATES)}) + rows
    return streams.encode("\n".join(lines))


def _outcome(gate: Mapping[str, Any]) -> dict[str, object]:
    """Return the row of a gate."""
    return {"gate": "passed" if gate["passed"] else "MISSED", "found": gate["found"]}
