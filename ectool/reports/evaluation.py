"""What one evaluation found, before it is drawn: the source of figures, tables and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ectool.reports.content import Interval, Metric

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """One evaluated model.

    Attributes:
        name: What the model is called in legends and tables; no two of a report share one.
        metrics: What each metric is, in the order of the results.
        values: Value, interval over the samples and number of samples of each metric.
        suites: Suite that each metric belongs to.
        tables: Further tables of the results, by name (`classes`, `reliability`, ...).
        upper_bounds: Why values are no more than upper bounds, by metric.
    """

    name: str
    metrics: Mapping[str, Metric]
    values: Mapping[str, Interval]
    suites: Mapping[str, str]
    tables: Mapping[str, Sequence[Row]]
    upper_bounds: Mapping[str, str] = field(default_factory=dict)

    def value(self, metric: str) -> float:
        """Return the value of a metric; NaN where it was not measured or is undefined."""
        return self.values[metric].mean if metric in self.values else math.nan


NOT_TABLES = frozenset(
    (
        "schema",
        "version",
        "model",
        "data",
        "configuration",
        "versions",
        "suites",
        "parts",
        "findings",
        "metrics",
    )
)
"""Keys of `results.json` besides its tables."""


def from_results(name: str, document: Mapping[str, Any]) -> Evaluation:
    """Return what a `results.json` says.

    Args:
        name: What the model is called.
        document: The parsed file, `"schema": "evaluation"`.
    """
    found: Mapping[str, Mapping[str, Any]] = document["metrics"]
    return Evaluation(
        name=name,
        metrics={
            key: Metric(
                label=entry["label"],
                definition=entry["definition"],
                higher_is_better=entry["higher_is_better"],
                is_share=entry["is_share"],
            )
            for key, entry in found.items()
        },
        values={key: interval_of(entry) for key, entry in found.items()},
        suites={key: entry["suite"] for key, entry in found.items()},
        tables={key: rows for key, rows in document.items() if key not in NOT_TABLES},
        upper_bounds={k: str(e["upper_bound"]) for k, e in found.items() if "upper_bound" in e},
    )


def interval_of(entry: Row) -> Interval:
    """Return the numbers of a metric's entry, or of a table's line that has the same keys."""
    value, low, high = (_number(entry[part]) for part in ("value", "low", "high"))
    return Interval(value, low, high, int(entry["n"]))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
