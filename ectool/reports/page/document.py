"""`report.json`: the numbers of a report for programs.

Keys:
    version: 3. Version 2 had no conditions of metrics, and the tables of results of version 2.
    title: Title.
    unit: Unit of the metrics.
    metrics.NAME: `label`, `definition`, `higher_is_better`, `is_share`, `suite`, and the fields of
        its condition in `results.json`, such as `attack`, `norm` and `radius`.
    models: Evaluated models: `name`, `group` (name that the runs of several seeds share), `data`,
        `metrics` (`value`, `low`, `high`, `n` and `kind`: `interval` of 95 % over samples, or
        `spread`, which covers less), and the other tables of the evaluation in `tables`.
    failures: Models that could not be evaluated: `name`, `error`.
    experiments: Experiments of `ectool run`:
        title, reference, seeds, epochs, warmup_epochs, every: The experiment.
        arms.ARM.metrics.NAME: `values` by seed; `mean`, `low`, `high` (95 % t interval over seeds)
            and `n`; `difference` against the reference, paired by seed, with the same four and
            `p_value` (paired t test), `p_holm` (corrected over the headline metrics of all arms, or
            over all other metrics) and `verdict` (`better` or `worse` if `p_holm` is below 0.05,
            else null); null for the reference.
        arms.ARM.settings: Options that the arm changes.
        arms.ARM.history.SEED: One entry per epoch.
        arms.ARM.rounds.SEED: One entry per round, with the fields of `content.Round`.
        bins: Edges of the histograms in `rounds`.
        samples: Training samples that the page shows, without their images; null without rounds.
    gallery: Evaluated samples that the page shows, without their images, by model.
    provenance: `data`, `versions`, `settings`, `command`.
    key: SHA-256 of all inputs of the report; a report with the same key is up to date.
    files: SHA-256 of the page (`page`) and of `strip.png` (`strip`), if there is one.

Undefined numbers are null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ectool.reports.content import Arm, ExperimentResults, Metric, Result, RoundSamples, Sample
from ectool.reports.report import EvaluatedModel, Report
from ectool.reports.training_records import EDGES, SCORES
from ectool.types import Estimate

VERSION = 3
"""Changes with the keys of `report.json`, and with those of the tables in it."""
UNIT = "share of 1, which the page shows as percent, unless `is_share` is false"
IMAGES = ("image", "perturbed", "clean", "adversarial")


def as_text(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_document(report: Report) -> dict[str, Any]:
    """Return the document of a report as JSON values."""
    document = {
        "schema": "report",
        "version": VERSION,
        "title": report.title,
        "unit": UNIT,
        "metrics": {
            name: _metric(metric, report.suites[name]) for name, metric in report.metrics.items()
        },
        "models": [_model(entry) for entry in report.entries],
        "failures": [asdict(failure) for failure in report.failures],
        "experiments": [_experiment(experiment) for experiment in report.experiments],
        "gallery": [
            {model: _sample(result) for model, result in sample.by_model.items()}
            for sample in report.gallery
        ],
        "provenance": asdict(report.provenance),
    }
    found: dict[str, Any] = _plain(document)
    return found


def _metric(metric: Metric, suite: str) -> dict[str, Any]:
    """Return the fields of a metric; those of its condition stand next to the others."""
    found = asdict(metric)
    condition = found.pop("condition")
    return {**found, **condition, "suite": suite}


def _model(entry: EvaluatedModel) -> dict[str, Any]:
    values = entry.evaluation.values
    return {
        "name": entry.name,
        "group": entry.group,
        "data": entry.data,
        "metrics": {
            name: {"value": v.value, "low": v.low, "high": v.high, "n": v.n, "kind": v.kind}
            for name, v in values.items()
        },
        "tables": entry.evaluation.tables,
    }


def _experiment(experiment: ExperimentResults) -> dict[str, Any]:
    return {
        "title": experiment.title,
        "reference": experiment.reference,
        "seeds": experiment.seeds,
        "epochs": experiment.epochs,
        "warmup_epochs": experiment.warmup_epochs,
        "every": experiment.every,
        "arms": {arm.name: _arm(arm) for arm in experiment.arms},
        "bins": {SCORES[name]: edges for name, edges in EDGES.items()},
        "samples": _round_samples(experiment.round_samples) if experiment.round_samples else None,
    }


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
    tested = ("verdict", "p_value", "p_holm")
    found = {name: getattr(result.difference, name) for name in tested}
    return {**numbers, "difference": {**_interval(result.difference), **found}}


def _interval(interval: Estimate) -> dict[str, Any]:
    return {
        "mean": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n": interval.n,
    }


def _round_samples(found: RoundSamples) -> dict[str, Any]:
    return {**vars(found), "samples": [_sample(sample) for sample in found.samples]}


def _sample(sample: Sample) -> dict[str, Any]:
    """Return the fields of a sample without its images."""
    known = {name: value for name, value in vars(sample).items() if name not in IMAGES}
    return {**known, "scale": sample.scale}


def _plain(value: Any) -> Any:  # noqa: ANN401 (anything JSON can hold)
    """Return a value as JSON: undefined numbers are None, keys are text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
