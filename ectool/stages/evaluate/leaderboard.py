"""Leaderboard of many models: `results.json` and `leaderboard.csv` of an audit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ectool.shown_text import visible

LEADERBOARD_FILE = "leaderboard.csv"
FORMULA = ("=", "+", "-", "@")
"""Beginnings of a cell that a spreadsheet computes."""
VERSION = 1
"""Version of an audit's `results.json`, see docs/evaluation.md."""
COLUMNS = {"": "value", "_low": "low", "_high": "high"}
"""Columns of each metric: what follows its name, and the entry of the results it holds."""


@dataclass(frozen=True)
class Standing:
    """Status and metrics of one model.

    Attributes:
        name: Name of the model, and of its folder.
        path: Model artifact, checkpoint or program.
        status: `pending` before the evaluation; then `ok` or `failed`.
        error: Why it failed.
        evaluation: Folder of its evaluation, relative to the audit's.
        metrics: Entries of its results, by metric.
    """

    name: str
    path: str
    status: Literal["pending", "ok", "failed"] = "pending"
    error: str | None = None
    evaluation: str | None = None
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def results(standings: Sequence[Standing], shared: Mapping[str, Any]) -> str:
    """Return an audit's `results.json`.

    Args:
        standings: Every model, in the order of the list.
        shared: Entries that all models share: data, configuration, versions.
    """
    document = {
        "schema": "audit",
        "version": VERSION,
        **shared,
        "models": [asdict(standing) for standing in standings],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def leaderboard(standings: Sequence[Standing]) -> str:
    """Return `leaderboard.csv`: a row per model, three columns per metric.

    Numbers are those of the results, shares in [0, 1]; a cell without a number is empty.
    """
    metrics = list(dict.fromkeys(name for one in standings for name in one.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [name + suffix for name in metrics for suffix in COLUMNS]
    writer.writerow(["name", "status", *map(_cell, columns)])
    for one in standings:
        numbers = [one.metrics.get(m, {}).get(key) for m in metrics for key in COLUMNS.values()]
        writer.writerow([_cell(one.name), one.status, *numbers])
    return text.getvalue()


def _cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    text = visible(text)
    return f"'{text}" if text.startswith(FORMULA) else text
