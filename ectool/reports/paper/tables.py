"""Tables for papers: leaderboards of models, arms with their differences, and classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ectool.reports.classes import ClassLine, ClassTable, class_tables
from ectool.reports.evaluation import Row
from ectool.reports.leaderboard import Column, by_suite, columns
from ectool.reports.numbers import UPPER_BOUND_SIGN, bounds, quantity
from ectool.reports.paper.differences import arm_differences
from ectool.reports.paper.text import IMAGES, sizes, title
from ectool.reports.paper.typesetting import PaperTable, TableCell, to_latex, to_markdown
from ectool.reports.report import Report
from ectool.types import Estimate

T = TypeVar("T")
WIDTH = 4
"""Maximum number of columns of numbers in one table."""


def classes(report: Report) -> Iterator[PaperTable]:
    """Yield the tables of classes, a column for each model."""
    for table in class_tables(report):
        yield from _classes(report, table)


def model_leaderboards(report: Report) -> Iterator[PaperTable]:
    """Yield the leaderboard of the models for each suite; nothing is tested or marked."""
    for suite, found in by_suite(columns(report)).items():
        for number, part in _parts(found):
            rows = [
                (TableCell(entry.name), *(_cell(column, row) for column in part))
                for row, entry in enumerate(report.entries)
            ]
            yield PaperTable(
                name=f"leaderboard-{suite}{number}",
                caption=f"{suite.capitalize()}. In brackets: {IMAGES.format(_counts(part))}. "
                "Differences between the models are not tested.",
                head=("model", *(title(column.metric) for column in part)),
                rows=tuple(rows),
            )


def _parts(found: Sequence[T]) -> Iterator[tuple[str, Sequence[T]]]:
    """Yield the columns in parts of `WIDTH`, with the suffix of the file name."""
    for first in range(0, len(found), WIDTH):
        number = f"-{first // WIDTH + 1}" if len(found) > WIDTH else ""
        yield number, found[first : first + WIDTH]


def _counts(part: Sequence[Column]) -> str:
    return sizes([cell.value.n for column in part for cell in column.cells if cell.value.n])


def _cell(column: Column, row: int) -> TableCell:
    cell, is_share = column.cells[row], column.metric.is_share
    interval = bounds(cell.value, is_share) if cell.value.bounded else ""
    sign = UPPER_BOUND_SIGN if cell.upper_bound else ""
    return TableCell(sign + quantity(cell.value.value, is_share), interval)


def _classes(report: Report, table: ClassTable) -> Iterator[PaperTable]:
    """Yield the parts of a table of classes."""
    known = {
        (entry.name, row["name"]): row
        for entry in report.entries
        for row in entry.evaluation.tables.get("classes", ())
    }
    shown = len(table.lines)
    note = f" The {shown} classes with the lowest mean." if shown < table.count else ""
    for number, models in _parts(table.models):
        rows = [
            (
                TableCell(line.name),
                TableCell(str(line.n)),
                *(_class_cell(known.get((model, line.name), {}), line, model) for model in models),
            )
            for line in table.lines
        ]
        yield PaperTable(
            name=f"classes-{table.measure.replace(' ', '-')}{number}",
            caption=f"{table.measure.capitalize()} of each class in %. In brackets: 95 % Wilson "
            f"intervals over its n images.{note}",
            head=("class", "n", *models),
            rows=tuple(rows),
        )


def _class_cell(row: Row, line: ClassLine, model: str) -> TableCell:
    value = line.values.get(model, math.nan)
    low, high = (math.nan if row.get(key) is None else row[key] for key in ("low", "high"))
    interval = Estimate(value, low, high, line.n)
    return TableCell(quantity(value), bounds(interval) if interval.bounded else "")


TABLES: tuple[Callable[[Report], Iterator[PaperTable]], ...] = (
    model_leaderboards,
    arm_differences,
    classes,
)
"""Functions that make tables. Without results they yield nothing."""


def paper_tables(report: Report) -> dict[str, bytes]:
    """Return every table of a report in both formats.

    Returns:
        Files by name: `leaderboard-SUITE`, `arms-SUITE` for arms of experiments, and
        `classes-MEASURE`. Wide and long tables are split into numbered parts.
    """
    files = {}
    for table in (table for make in TABLES for table in make(report)):
        files[f"{table.name}.tex"] = to_latex(table).encode()
        files[f"{table.name}.md"] = to_markdown(table).encode()
    return files
