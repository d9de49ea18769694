"""Results of an evaluation: as a table, for pandas, as JSON; without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ectool.api.opening import METRIC, Opened, Table, imported
from ectool.reports.columns import table_lines
from ectool.reports.evaluation import from_results
from ectool.reports.gates.content import metric_table
from ectool.writing import write_atomic

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("value", "low", "high", "n")
FACTS = ("suite", *NUMBERS, "label", "definition", "higher_is_better", "is_share")
"""Columns for pandas, in this order."""


class Evaluation(Opened):
    """Metrics of a model with their intervals.

    A mapping of columns (``metric``, ``value``, ``low``, ``high``, ``n``); shares lie in [0, 1].

    Attributes:
        path: Folder of the evaluation; the current folder if it was not stored.
        results: Content of `results.json`; docs/evaluation.md describes it.
        notes: What was left out and why, and findings such as zero heatmaps.
    """

    def __init__(
        self, results: Mapping[str, Any], path: Path = Path(), notes: tuple[str, ...] = ()
    ) -> None:
        entries: Mapping[str, Mapping[str, Any]] = results["metrics"]
        columns = {METRIC: np.array(list(entries), object)} | {
            name: np.array([entry[name] for entry in entries.values()], np.float64)
            for name in NUMBERS
        }
        super().__init__(path, "evaluation", results, Table(columns, METRIC))
        self.notes = notes

    @property
    def results(self) -> Mapping[str, Any]:
        """Return the content of `results.json`."""
        return self.attributes

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """Return value, interval, definition and unit of every metric by name."""
        found: Mapping[str, Mapping[str, Any]] = self.results["metrics"]
        return found

    def value(self, metric: str) -> float:
        """Return the value of a metric; NaN where it is undefined.

        Raises:
            KeyError: It was not measured.
        """
        found = self.metrics[metric]["value"]
        return float("nan") if found is None else float(found)

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each metric: suite, value, interval, number of samples, definition.

        Raises:
            MachineError: pandas is not installed.
        """
        rows = [[entry.get(name) for name in FACTS] for entry in self.metrics.values()]
        index = imported("pandas").Index(list(self.metrics), name=METRIC)
        frame: pd.DataFrame = imported("pandas").DataFrame(rows, index=index, columns=list(FACTS))
        return frame.astype(dict.fromkeys(("value", "low", "high"), float))

    def table(self) -> str:
        """Return metrics, values and 95 % intervals as text; shares in percent."""
        return "\n".join(table_lines(metric_table(from_results(str(self.path), self.results))))

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return `results.json` as text.

        Args:
            path: File that is written, too.
        """
        text = json.dumps(dict(self.results), indent=1, allow_nan=False) + "\n"
        if path is not None:
            write_atomic(Path(path), text.encode())
        return text

    def __repr__(self) -> str:
        suites = ", ".join(self.results["suites"])
        return f"ectool.Evaluation({len(self.metrics)} metrics of {suites})"
