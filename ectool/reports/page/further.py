"""Tables of evaluations that the page has no image for: shown as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ectool.reports.numbers import ABSENT, quantity
from ectool.reports.page.comparisons import FAITHFULNESS
from ectool.reports.report import Report
from ectool.reports.strengths import TABLE

ELSEWHERE = ("classes", "confusion", "reliability", TABLE, FAITHFULNESS)
"""Tables that other parts of the page show."""


@dataclass(frozen=True)
class FurtherTable:
    """Lines of the same table of all models.

    Attributes:
        name: Name of the table.
        columns: Keys of its lines.
        lines: The model, and the value of each key, None where a line has none.
    """

    name: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[Any, ...]], ...]


def further_tables(report: Report) -> list[FurtherTable]:
    """Return the tables that no other part of the page shows."""
    names = (name for entry in report.entries for name in entry.evaluation.tables)
    return [_table(report, name) for name in dict.fromkeys(names) if name not in ELSEWHERE]


def _table(report: Report, name: str) -> FurtherTable:
    rows = [(e.name, row) for e in report.entries for row in e.evaluation.tables.get(name, ())]
    columns = tuple(dict.fromkeys(key for _, row in rows for key in row))
    lines = ((model, tuple(row.get(key) for key in columns)) for model, row in rows)
    return FurtherTable(name, columns, tuple(lines))


def spelled(value: object) -> str:
    """Write a value of a table: numbers with three decimals, counts and texts as they are."""
    if value is None:
        return ABSENT
    return quantity(value, is_share=False) if isinstance(value, float) else str(value)
