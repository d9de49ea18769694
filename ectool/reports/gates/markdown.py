"""Gates and metrics as Markdown, for pull requests."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from ectool.reports.gates.content import GateLine, GateReport, Table
from ectool.reports.numbers import ABSENT
from ectool.shown_text import visible

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~@$&])")
"""Letters with a meaning in Markdown; at signs mention users on GitHub."""
PASSED, MISSED = "✅", "❌"
MANY = 12
"""Rows above which a table of metrics is folded."""


def to_markdown(report: GateReport) -> str:
    """Return a heading with the outcome, the table of gates, and the tables of metrics."""
    return "\n\n".join(_blocks(report)) + "\n"


def _blocks(report: GateReport) -> Iterator[str]:
    outcome = report.verdict
    mark = MISSED if report.missed or report.failures else PASSED
    yield f"### {mark} {report.title}: {outcome}" if outcome else f"### {report.title}"
    if report.gates:
        yield _gates(report.gates)
    if report.failures:
        yield "\n".join(f"- {MISSED} {escape(n)}: {escape(e)}" for n, e in report.failures.items())
    for title, table in report.tables.items():
        text = _table(table)
        if len(table) > MANY:
            summary = f"<summary>{html.escape(visible(title))}</summary>"
            text = f"<details>{summary}\n\n{text}\n\n</details>"
        elif text:
            text = f"{escape(title)}\n\n{text}"
        if text:
            yield text


def _gates(gates: tuple[GateLine, ...]) -> str:
    """Return a row for each gate; without a column of models where there is only one."""
    has_models = any(gate.model for gate in gates)
    rows = [["gate", *(["model"] if has_models else []), "", "found"]]
    rows.append(["---"] * len(rows[0]))
    for gate in gates:
        mark = f"{PASSED} passed" if gate.is_passed else f"{MISSED} missed"
        model = [escape(gate.model)] if has_models else []
        rows.append([code(gate.bound), *model, mark, escape(gate.found)])
    return _lines(rows)


def _table(table: Table) -> str:
    """Return the rows of a table; empty without rows."""
    if not table:
        return ""
    head = [escape(name) for name in next(iter(table.values()))]
    rows = [["", *head], ["---", *["--:"] * len(head)]]
    rows += [
        [code(name), *(ABSENT if cell is None else escape(str(cell)) for cell in row.values())]
        for name, row in table.items()
    ]
    return _lines(rows)


def _lines(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def code(text: str) -> str:
    """Return text as a code span, which mentions nobody; a bar would end its cell."""
    return "`" + visible(" ".join(text.replace("`", "'").split())).replace("|", r"\|") + "`"


def escape(text: str) -> str:
    """Return text in one line without letters that Markdown interprets."""
    return SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))
