"""Results of one evaluation: the source of figures, tables and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ectool.errors import InputError
from ectool.reports.content import Metric
from ectool.types import Estimate

Row = Mapping[str, Any]
RESULTS_VERSION = 3
"""Version of `results.json`, see docs/evaluation.md."""
CONDITION = (
    "measure",
    "attack",
    "norm",
    "radius",
    "corruption",
    "severities",
    "variant",
    "replaced",
)
"""Fields of a metric that describe what was done to the images."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluated model.

    Attributes:
        name: Name of the model in legends and tables; unique in a report.
        metrics: Label and definition of each metric, in the order of the results.
        values: Value, interval over the samples and number of samples of each metric.
        suites: Suite of each metric.
        tables: Tables of the results by name (`classes`, `reliability`, ...).
        upper_bounds: Reason why a value is only an upper bound, by metric.
    """

    name: str
    metrics: Mapping[str, Metric]
    values: Mapping[str, Estimate]
    suites: Mapping[str, str]
    tables: Mapping[str, Sequence[Row]]
    upper_bounds: Mapping[str, str] = field(default_factory=dict)

    def value(self, metric: str) -> float:
        """Return the value of a metric; NaN if it was not measured or is undefined."""
        return self.values[metric].value if metric in self.values else math.nan


def from_results(name: str, document: Mapping[str, Any]) -> Evaluation:
    """Read a `results.json`.

    Args:
        name: Name of the model.
        document: The parsed file, `"schema": "evaluation"`.

    Raises:
        InputError: An earlier version of ectool wrote it.
    """
    version = document.get("version")
    if version != RESULTS_VERSION:
        raise InputError(
            name,
            expected=f"results.json of version {RESULTS_VERSION}",
            got=f"version {version}",
            fix="repeat `ectool evaluate` or `ectool run`, which rewrites this file alone",
        )
    found: Mapping[str, Mapping[str, Any]] = document["metrics"]
    return Evaluation(
        name=name,
        metrics={
            key: Metric(
                label=entry["label"],
                definition=entry["definition"],
                higher_is_better=entry["higher_is_better"],
                is_share=entry["is_share"],
                condition={field: entry[field] for field in CONDITION if field in entry},
            )
            for key, entry in found.items()
        },
        values={key: interval_of(entry) for key, entry in found.items()},
        suites={key: entry["suite"] for key, entry in found.items()},
        tables=document["tables"],
        upper_bounds={k: str(e["upper_bound"]) for k, e in found.items() if "upper_bound" in e},
    )


def interval_of(entry: Row) -> Estimate:
    """Return the interval of a metric's entry, or of a table's line with the same keys."""
    value, low, high = (_number(entry[part]) for part in ("value", "low", "high"))
    return Estimate(value, low, high, int(entry["n"]), entry.get("kind", "interval"))


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
