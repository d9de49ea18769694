"""Tables of evaluations that no other section of the page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ectool.reports.page.comparisons import FAITHFULNESS
from ectool.reports.report import Report
from ectool.reports.strengths import TABLE

SHOWN_ELSEWHERE = ("classes", "confusion", "reliability", TABLE, FAITHFULNESS)
"""Tables of evaluations that other sections show."""


@dataclass(frozen=True)
class OtherTable:
    """A table of evaluations, with the lines of all models.

    Attributes:
        name: Name of the table.
        columns: Keys of its lines.
        lines: Model and value of each key; None if a line lacks the key.
    """

    name: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Any, ...]], ...]


def other_tables(report: Report) -> list[OtherTable]:
    """Return the tables that no other section shows."""
    names = (name for entry in report.entries for name in entry.evaluation.tables)
    return [_table(report, name) for name in dict.fromkeys(names) if name not in SHOWN_ELSEWHERE]


def _table(report: Report, name: str) -> OtherTable:
    rows = [(e.name, row) for e in report.entries for row in e.evaluation.tables.get(name, ())]
    columns = tuple(dict.fromkeys(key for _, row in rows for key in row))
    lines = ((model, tuple(row.get(key) for key in columns)) for model, row in rows)
    return OtherTable(name, columns, tuple(lines))
