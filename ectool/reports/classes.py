"""Results by class: a table of all models, and the confusion matrix of each model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ectool.reports.report import EvaluatedModel, Report

MAX_TABLE_CLASSES = 200
"""Lines of the table; of more classes, those with the lowest mean are shown."""
MAX_MATRIX_CLASSES = 25
"""Classes of a confusion matrix; of more classes, the most frequent confusions are listed."""
MAX_CONFUSIONS = 25
MEASURES = {"accuracy": "accuracy", "average_precision": "average precision"}
"""Names of the measures by key in the table `classes`; a table has one measure."""


@dataclass(frozen=True)
class ClassLine:
    """A class: name, number of images, and measure by model (NaN if undefined)."""

    name: str
    n: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class ClassTable:
    """All classes.

    Attributes:
        measure: Name of the values.
        models: Models with a table of classes.
        lines: The classes that are shown.
        count: Number of all classes.
    """

    measure: str
    models: tuple[str, ...]
    lines: tuple[ClassLine, ...]
    count: int


@dataclass(frozen=True)
class Confusion:
    """Confusions of one model.

    Attributes:
        model: The model.
        classes: Names of the classes, true ones in rows, predicted ones in columns.
        counts: Number of images.
        pairs: True class, predicted class and number of the most frequent confusions.
    """

    model: str
    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    pairs: tuple[tuple[str, str, int], ...]

    @property
    def has_matrix(self) -> bool:
        """Whether the number of classes is small enough for a matrix."""
        return len(self.classes) <= MAX_MATRIX_CLASSES

    def share(self, row: int, column: int) -> float:
        """Return the share of a true class (row) that is predicted as a class (column)."""
        return self.counts[row][column] / max(1, sum(self.counts[row]))


def class_tables(report: Report) -> list[ClassTable]:
    """Return a table for each measure of classes in the evaluations."""
    return [
        table
        for key, measure in MEASURES.items()
        if (table := _class_table(report.entries, key, measure)).models
    ]


def _class_table(entries: Sequence[EvaluatedModel], key: str, measure: str) -> ClassTable:
    models: list[str] = []
    sizes: dict[str, int] = {}
    values: dict[str, dict[str, float]] = {}
    for entry in entries:
        rows = entry.evaluation.tables.get("classes", ())
        if not rows or key not in rows[0]:
            continue
        models.append(entry.name)
        for row in rows:
            sizes[row["name"]] = row["n"] if "n" in row else row["present"]
            value = math.nan if row[key] is None else row[key]
            values.setdefault(row["name"], {})[entry.name] = value
    lines = [ClassLine(name, sizes[name], found) for name, found in values.items()]
    return ClassTable(measure, tuple(models), tuple(_shown(lines)), len(lines))


def _shown(lines: Sequence[ClassLine]) -> list[ClassLine]:
    """Return the lines to show, in their order: all, or those with the lowest mean."""
    lowest = set(sorted(range(len(lines)), key=lambda row: _mean(lines[row]))[:MAX_TABLE_CLASSES])
    return [line for row, line in enumerate(lines) if row in lowest]


def _mean(line: ClassLine) -> float:
    known = [value for value in line.values.values() if math.isfinite(value)]
    return sum(known) / len(known) if known else math.inf


def confusions(report: Report) -> list[Confusion]:
    """Return the confusions of every model with the table `confusion`."""
    return [
        _confusion(entry) for entry in report.entries if entry.evaluation.tables.get("confusion")
    ]


def _confusion(entry: EvaluatedModel) -> Confusion:
    """Read a table whose lines are true class, predicted class and number of images."""
    rows = entry.evaluation.tables["confusion"]
    names = [row["name"] for row in entry.evaluation.tables.get("classes", ())]
    names += [row[key] for row in rows for key in ("label", "predicted")]
    classes = tuple(dict.fromkeys(names))
    found = {(row["label"], row["predicted"]): int(row["n"]) for row in rows}
    errors = [(*pair, n) for pair, n in found.items() if pair[0] != pair[1] and n > 0]
    return Confusion(
        model=entry.name,
        classes=classes,
        counts=tuple(tuple(found.get((a, b), 0) for b in classes) for a in classes),
        pairs=tuple(sorted(errors, key=lambda pair: -pair[2])[:MAX_CONFUSIONS]),
    )
