"""What the page tells class by class: a table of all models, and who is taken for whom."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ectool.reports.report import Entry, Report

MOST_CLASSES = 200
"""Lines of the table; of more classes those with the lowest mean are shown."""
MOST_IN_MATRIX = 25
"""Classes up to which there is a matrix; of more, the most frequent confusions are listed."""
MOST_CONFUSIONS = 25
MEASURES = {"accuracy": "accuracy", "average_precision": "average precision"}
"""Measure of a class by its key in the table `classes`; a table has one of them."""


@dataclass(frozen=True)
class ClassLine:
    """A class: its name, its number of images, and its measure by model, NaN where unknown."""

    name: str
    n: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class ClassTable:
    """All classes.

    Attributes:
        measure: What the values are.
        models: Models with such a table.
        lines: The classes that are shown.
        count: How many there are.
    """

    measure: str
    models: tuple[str, ...]
    lines: tuple[ClassLine, ...]
    count: int


@dataclass(frozen=True)
class Confusion:
    """Who is taken for whom by a model.

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
        """Tell whether there are few enough classes for a matrix."""
        return len(self.classes) <= MOST_IN_MATRIX

    def share(self, row: int, column: int) -> float:
        """Return which share of a class's images is taken for a class."""
        return self.counts[row][column] / max(1, sum(self.counts[row]))


def class_tables(report: Report) -> list[ClassTable]:
    """Return a table for each measure of classes that some evaluation has."""
    return [
        table
        for key, measure in MEASURES.items()
        if (table := _class_table(report.entries, key, measure)).models
    ]


def _class_table(entries: Sequence[Entry], key: str, measure: str) -> ClassTable:
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
    lowest = set(sorted(range(len(lines)), key=lambda row: _mean(lines[row]))[:MOST_CLASSES])
    return [line for row, line in enumerate(lines) if row in lowest]


def _mean(line: ClassLine) -> float:
    known = [value for value in line.values.values() if math.isfinite(value)]
    return sum(known) / len(known) if known else math.inf


def confusions(report: Report) -> list[Confusion]:
    """Return who is taken for whom, by every model that has such a table."""
    return [
        _confusion(entry) for entry in report.entries if entry.evaluation.tables.get("confusion")
    ]


def _confusion(entry: Entry) -> Confusion:
    """Read a table whose lines are a true class, a predicted one and how often that happens."""
    rows = entry.evaluation.tables["confusion"]
    names = [row["name"] for row in entry.evaluation.tables.get("classes", ())]
    names += [row[key] for row in rows for key in ("truth", "predicted")]
    classes = tuple(dict.fromkeys(names))
    found = {(row["truth"], row["predicted"]): int(row["n"]) for row in rows}
    wrong = [(*pair, n) for pair, n in found.items() if pair[0] != pair[1] and n > 0]
    return Confusion(
        model=entry.name,
        classes=classes,
        counts=tuple(tuple(found.get((a, b), 0) for b in classes) for a in classes),
        pairs=tuple(sorted(wrong, key=lambda pair: -pair[2])[:MOST_CONFUSIONS]),
    )
