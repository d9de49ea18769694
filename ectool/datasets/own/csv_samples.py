"""The rows of a CSV file of images, checked one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ectool.config.splits import SPLIT_NAMES
from ectool.datasets.base import Report, raise_fault
from ectool.datasets.bounds.tables import LabelNames
from ectool.datasets.own.table_rows import BoxCells, Row, line_fault, read_rows
from ectool.datasets.splits import drawn_split
from ectool.errors import InputError

SEPARATOR = ";"
LABELS = "labels"


@dataclass(frozen=True, slots=True)
class CsvSample:
    """One row.

    Attributes:
        line: Its line, for errors.
        path: POSIX path of the image, which is its id.
        labels: Names of its classes.
        split: One of ``SPLITS``.
        mask: POSIX path of its mask, or empty.
        box: Its box, or None.
        group: Name of its group, or empty.
    """

    line: int
    path: str
    labels: tuple[str, ...]
    split: str
    mask: str
    box: BoxCells | None
    group: str


def read_samples(file: Path, report: Report = raise_fault) -> tuple[list[CsvSample], bool]:
    """Read all rows of a CSV file; see :func:`ectool.datasets.own.csv_images.open_csv`.

    Args:
        file: The CSV file.
        report: Receives the errors of rows that are not valid; these are left out.

    Returns:
        The samples in the order of the file, and whether they are multi-label.

    Raises:
        InputError: A column or cell is missing or not valid, a path occurs twice, or there are too
            many labels.
    """
    samples: dict[str, CsvSample] = {}
    is_multilabel, names = False, LabelNames(str(file))
    for row in read_rows(file, ("path", f"label|{LABELS}"), report):
        try:
            sample = _sample(row)
            _check_new(row, sample, samples)
        except InputError as fault:
            report(fault)
            continue
        samples[sample.path] = replace(sample, labels=names.shared(sample.labels))
        is_multilabel = is_multilabel or LABELS in row.cells or len(sample.labels) > 1
    if is_multilabel:
        _check_nothing_drawn(file, samples.values(), report)
    return [*samples.values()], is_multilabel


def _check_new(row: Row, sample: CsvSample, samples: Mapping[str, CsvSample]) -> None:
    """Check that no earlier row has the same path."""
    if sample.path in samples:
        raise row.fault(
            expected="every path once",
            got=f"{sample.path} of line {samples[sample.path].line} again",
            fix=f"keep one of the rows; write several classes as a{SEPARATOR}b",
        )


def _check_nothing_drawn(file: Path, samples: Iterable[CsvSample], report: Report) -> None:
    """Check that multi-label samples have no annotations: their class would be unknown."""
    for sample in samples:
        if sample.mask or sample.box:
            report(
                line_fault(
                    file,
                    sample.line,
                    expected="neither mask nor box in a multi-label data set",
                    got=sample.mask or ", ".join(f"{edge:g}" for edge in sample.box or ()),
                    fix="remove these columns: the class of each object is unknown",
                )
            )


def _sample(row: Row) -> CsvSample:
    path = row.path("path")
    if not path:
        raise row.fault(expected="a path", got="an empty cell", fix="fill it or remove the row")
    return CsvSample(
        line=row.line,
        path=path,
        labels=_labels(row),
        split=_split(row, path),
        mask=row.path("mask"),
        box=row.box(),
        group=row.cells.get("group", ""),
    )


def _labels(row: Row) -> tuple[str, ...]:
    cell = row.cells.get(LABELS, row.cells.get("label", ""))
    if not cell and LABELS in row.cells:
        return ()
    names = tuple(name.strip() for name in cell.split(SEPARATOR))
    if not all(names):
        raise row.fault(
            expected="a label",
            got=f"an empty one in {cell!r}" if cell else "an empty cell",
            fix=f"fill it, remove the row, or name the column {LABELS!r} if labels are optional",
        )
    return names


def _split(row: Row, path: str) -> str:
    cell = row.cells.get("split")
    if cell is None:
        return drawn_split(path)
    if cell.lower() not in SPLIT_NAMES:
        raise row.fault(
            expected=f"a split, one of {', '.join(SPLIT_NAMES)}",
            got=repr(cell),
            fix="correct it, or leave the column out to have the split drawn",
        )
    return SPLIT_NAMES[cell.lower()]
