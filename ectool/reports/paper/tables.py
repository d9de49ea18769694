"""Tables for papers: leaderboard and classes in LaTeX (booktabs) and Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from ectool.reports.classes import ClassLine, ClassTable, class_tables
from ectool.reports.content import Interval, Metric
from ectool.reports.evaluation import Row
from ectool.reports.leaderboard import Column, by_suite, columns
from ectool.reports.numbers import UPPER_BOUND_SIGN, bounds, quantity
from ectool.reports.paper.text import IMAGES, SEEDS, over_seeds, prefixes, sizes
from ectool.reports.paper.typesetting import PaperTable, TableCell, to_latex, to_markdown
from ectool.reports.report import Report

T = TypeVar("T")
WIDTH = 5
"""Columns of numbers that fit on a page beside each other."""
DIRECTION = {True: "↑", False: "↓"}


def paper_tables(report: Report) -> dict[str, bytes]:
    """Write every table of a report in both formats.

    Returns:
        Files by name: `leaderboard-SUITE` and `classes`, for arms of experiments
        `arms-leaderboard-SUITE`; wider ones are numbered parts.
    """
    files = {}
    for table in _tables(report):
        files[f"{table.name}.tex"] = to_latex(table).encode()
        files[f"{table.name}.md"] = to_markdown(table).encode()
    return files


def _tables(report: Report) -> Iterator[PaperTable]:
    yield from _leaderboards(report, "", IMAGES)
    for prefix, experiment in zip(prefixes(report), report.experiments, strict=True):
        yield from _leaderboards(over_seeds(report, experiment), f"{prefix}arms-", SEEDS)
    for table in class_tables(report):
        yield from _classes(report, table)


def _leaderboards(report: Report, prefix: str, intervals: str) -> Iterator[PaperTable]:
    for suite, found in by_suite(columns(report)).items():
        for number, part in _parts(found):
            rows = [
                (TableCell(entry.name), *(_cell(column, row) for column in part))
                for row, entry in enumerate(report.entries)
            ]
            yield PaperTable(
                name=f"{prefix}leaderboard-{suite}{number}",
                caption=f"{suite.capitalize()}; in brackets: {intervals.format(_counts(part))}. "
                "Bold: best value, which need not differ from the next by more than chance.",
                head=("model", *(_title(column.metric) for column in part)),
                rows=tuple(rows),
            )


def _parts(found: Sequence[T]) -> Iterator[tuple[str, Sequence[T]]]:
    """Yield as many columns as fit on a page, with what numbers the parts where there are more."""
    for first in range(0, len(found), WIDTH):
        number = f"-{first // WIDTH + 1}" if len(found) > WIDTH else ""
        yield number, found[first : first + WIDTH]


def _counts(part: Sequence[Column]) -> str:
    return sizes([cell.value.n for column in part for cell in column.cells if cell.value.n])


def _title(metric: Metric) -> str:
    unit = ", %" if metric.is_share else ""
    return f"{metric.label}{unit} {DIRECTION[metric.higher_is_better]}"


def _cell(column: Column, row: int) -> TableCell:
    cell, is_share = column.cells[row], column.metric.is_share
    interval = bounds(cell.value, is_share) if cell.value.bounded else ""
    sign = UPPER_BOUND_SIGN if cell.upper_bound else ""
    return TableCell(sign + quantity(cell.value.mean, is_share), interval, cell.is_best)


def _classes(report: Report, table: ClassTable) -> Iterator[PaperTable]:
    """Yield the classes, a column for each model."""
    known = {
        (entry.name, row["name"]): row
        for entry in report.entries
        for row in entry.evaluation.tables.get("classes", ())
    }
    kept = "" if len(table.lines) == table.count else f" The {len(table.lines)} worst classes."
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
            caption=f"{table.measure.capitalize()} of each class in %; in brackets: 95 % Wilson "
            f"intervals over its n images, where they are known.{kept}",
            head=("class", "n", *models),
            rows=tuple(rows),
        )


def _class_cell(row: Row, line: ClassLine, model: str) -> TableCell:
    value = line.values.get(model, math.nan)
    low, high = (math.nan if row.get(key) is None else row[key] for key in ("low", "high"))
    interval = Interval(value, low, high, line.n)
    return TableCell(quantity(value), bounds(interval) if interval.bounded else "")
