"""`report.json`: the numbers of a report for programs.

Keys:
    title, reference, seeds, epochs, warmup_epochs, every: The experiment.
    unit: What the numbers of `arms.*.metrics` are counted in.
    metrics.NAME: `label`, `definition`, `higher_is_better`, `is_share`.
    arms.ARM.metrics.NAME: `values` by seed; `mean`, `low`, `high` (95 % t interval over seeds) and
        `n`; `difference` against the reference, paired by seed, with the same four and `verdict`
        (`better`, `worse`, or null where the interval includes zero); null for the reference.
    arms.ARM.settings: What the arm changes.
    arms.ARM.history.SEED: One entry per epoch.
    arms.ARM.rounds.SEED: One entry per round, as `content.Round` says.
    bins: Edges of the histograms in `rounds`.
    samples: The samples that the page shows, without their pictures; null without rounds.
    provenance: `data`, `versions`, `settings`, `command`.

Undefined numbers are null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ectool.reports.content import Arm, Content, Interval, Result, Sheet
from ectool.reports.rounds import CONSISTENCY_EDGES, WEIGHT_EDGES

UNIT = "share of 1, which the page shows as percent, unless `is_share` is false"
PICTURES = ("image", "perturbed", "clean", "adversarial")


def to_json(content: Content) -> str:
    """Return the document of a report as JSON text."""
    document = {
        "schema": "report",
        "version": 1,
        "title": content.title,
        "reference": content.reference,
        "seeds": content.seeds,
        "epochs": content.epochs,
        "warmup_epochs": content.warmup_epochs,
        "every": content.every,
        "unit": UNIT,
        "metrics": {name: asdict(metric) for name, metric in content.metrics.items()},
        "arms": {arm.name: _arm(arm) for arm in content.arms},
        "bins": {"explanation_consistency": CONSISTENCY_EDGES, "weight": WEIGHT_EDGES},
        "samples": _sheet(content.sheet) if content.sheet else None,
        "provenance": asdict(content.provenance),
    }
    return json.dumps(_plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _arm(arm: Arm) -> dict[str, Any]:
    return {
        "settings": arm.settings,
        "metrics": {name: _result(result) for name, result in arm.results.items()},
        "history": arm.histories,
        "rounds": {seed: [asdict(r) for r in rounds] for seed, rounds in arm.rounds.items()},
    }


def _result(result: Result) -> dict[str, Any]:
    numbers = {"values": result.values, **_interval(result.interval)}
    if result.difference is None:
        return {**numbers, "difference": None}
    verdict = result.difference.verdict
    return {**numbers, "difference": {**_interval(result.difference), "verdict": verdict}}


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "mean": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
    }


def _sheet(sheet: Sheet) -> dict[str, Any]:
    samples = [
        {name: value for name, value in vars(sample).items() if name not in PICTURES}
        | {"scale": sample.scale}
        for sample in sheet.samples
    ]
    return {**vars(sheet), "samples": samples}


def _plain(value: Any) -> Any:  # noqa: ANN401 (anything JSON can hold)
    """Return a value that JSON can hold: undefined numbers are None, keys are text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
