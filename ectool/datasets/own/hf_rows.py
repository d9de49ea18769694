"""The rows of a table of a Hugging Face data set, checked one by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ectool.datasets.base import Report
from ectool.datasets.labels import NO_TARGET
from ectool.datasets.own.arrow_files import check_values
from ectool.datasets.own.hf_columns import Column, Columns, read_boxes
from ectool.datasets.own.hf_images import OpenTable
from ectool.datasets.own.hf_tables import Rows, is_inside
from ectool.errors import InputError


@dataclass(frozen=True, slots=True)
class Sample:
    """One row.

    Attributes:
        place: Its table and its row there.
        sample_id: Its id.
        label: Name of its class, names of its classes, or None if it is unknown.
        group: Name of its group, or None.
        files: The image and mask files that it names, relative to the data set's folder.
        box: Its box, NaN without one, or None if the table has no boxes.
    """

    place: tuple[OpenTable, int]
    sample_id: str
    label: Any
    group: str | None
    files: tuple[str, ...]
    box: np.ndarray | None


def samples_of(table: OpenTable) -> Iterator[Sample]:
    """Yield the rows of a table."""
    rows, columns = table.rows, table.columns
    count, prefix = len(rows), f"{table.table.key}/" if table.table.key else ""
    for name in _named(columns):
        check_values(f"{table.table}: column {name}", rows.data.column(name))
    ids = rows.data.column(columns.sample_id).to_pylist() if columns.sample_id else range(count)
    labels = columns.label.values(rows)
    groups = _group_names(columns.group, rows) if columns.group else [None] * count
    boxes = read_boxes(rows) if columns.has_boxes else [None] * count
    cells = [table.files_of(name) for name in (columns.image, columns.mask) if name]
    for row, name in enumerate(ids):
        files = tuple(path for paths in cells if (path := paths[row]) is not None)
        yield Sample(
            place=(table, row),
            sample_id="" if name is None else f"{prefix}{name}",
            label=labels[row],
            group=groups[row],
            files=files,
            box=boxes[row],
        )


def _named(columns: Columns) -> list[str]:
    """Return the columns whose values will all be in memory."""
    group = columns.group and columns.group.name
    return [name for name in (columns.label.name, group, columns.sample_id) if name]


def _group_names(column: Column, rows: Rows) -> list[str | None]:
    found = column.values(rows)
    if column.names is None:
        return found
    known = dict(enumerate(column.names))
    return [known.get(value) for value in found]


def is_valid(sample: Sample, label: Column, report: Report) -> bool:
    """Return whether the cells of a row are valid; report the first that is not.

    Args:
        sample: The row.
        label: The column of labels.
        report: Receives the error.
    """
    fault = _fault(sample, label)
    if fault is not None:
        report(row_fault(sample, *fault, "correct the row or remove it"))
    return fault is None


def row_fault(sample: Sample, expected: str, got: str, fix: str) -> InputError:
    """Return an error about a row."""
    table, row = sample.place
    return InputError(f"{table.table}, row {row}", expected=expected, got=got, fix=fix)


def _fault(sample: Sample, label: Column) -> tuple[str, str] | None:
    """Return what a row should have and what it has; None if all of it is valid."""
    folder, columns = sample.place[0].table.folder, sample.place[0].columns
    if not sample.sample_id:
        return f"a value in {columns.sample_id}", "an empty cell"
    outside = next((path for path in sample.files if not is_inside(folder, path)), None)
    if outside is not None:
        got = f"the path {outside!r}" if outside else "an empty cell"
        return f"an encoded image, or a path of a file in {folder}", got
    given = sample.label if label.is_list else [sample.label]
    if given is None or (label.is_list and None in given):
        return f"a list of classes in {label.name}", "an empty cell"
    count = None if label.names is None else len(label.names)
    least = 0 if label.is_list else NO_TARGET
    wrong = [n for n in given if count is not None and n is not None and not least <= n < count]
    if wrong:
        return f"a class from 0 to {(count or 0) - 1} in {label.name}", str(wrong[0])
    return _box_fault(sample.box)


def _box_fault(box: np.ndarray | None) -> tuple[str, str] | None:
    if box is None or np.isnan(box).all():
        return None
    x0, y0, x1, y1 = box
    if np.isfinite(box).all() and x1 - x0 >= 1 and y1 - y0 >= 1:
        return None
    edges = ", ".join("an empty cell" if np.isnan(edge) else f"{edge:g}" for edge in box)
    return "a box x0, y0, x1, y1 of at least one pixel", edges
