"""What a report compares: every metric of every arm, over seeds, against the reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ectool.datasets.base import VARIANTS
from ectool.metrics.catalogue import BY_RADIUS, BY_VARIANT, METRICS
from ectool.metrics.statistics import Estimate, mean_interval, paired_difference
from ectool.reports.content import Interval, Metric, Result, compare
from ectool.stages.report_runs import Experiment


def measured(experiment: Experiment) -> dict[str, Metric]:
    """Return every metric that some run was evaluated on, in the order of the table."""
    found = {name: entry for run in experiment.runs for name, entry in run.metrics.items()}
    return {
        name: Metric(
            label=str(found[name]["label"]),
            definition=str(found[name]["definition"]),
            higher_is_better=bool(found[name]["higher_is_better"]),
            is_share=bool(found[name].get("is_share", True)),
        )
        for name in sorted(found, key=metric_order)
    }


def metric_order(name: str) -> tuple[int, int, int, str]:
    """Return where a metric stands: accuracies, robustness, then the catalogue, then others."""
    base, _, detail = name.partition("@")
    if base in BY_VARIANT:
        return 0, _index(tuple(BY_VARIANT), base), _index(VARIANTS, detail), name
    if base in BY_RADIUS:
        return 1, _index(tuple(BY_RADIUS), base), 0, name
    return 2, _index(tuple(METRICS), name), 0, name


def _index(known: tuple[str, ...], name: str) -> int:
    return known.index(name) if name in known else len(known)


def results_of(
    experiment: Experiment, arm: str, metrics: Mapping[str, Metric]
) -> dict[str, Result]:
    """Return the results of an arm on the metrics, against the experiment's reference."""
    return {name: _result(experiment, arm, name, metric) for name, metric in metrics.items()}


def _result(experiment: Experiment, arm: str, name: str, metric: Metric) -> Result:
    """Return one metric of one arm; differences are taken between runs of the same seed."""
    values = values_of(experiment, arm, name)
    interval = _interval(mean_interval(np.array(list(values.values()))))
    if arm == experiment.record.reference:
        return Result(values, interval, None)
    reference = values_of(experiment, experiment.record.reference, name)
    common = [seed for seed in values if seed in reference]
    difference = paired_difference(
        np.array([values[seed] for seed in common]), np.array([reference[seed] for seed in common])
    )
    compared = compare(_interval(difference), higher_is_better=metric.higher_is_better)
    return Result(values, interval, compared)


def values_of(experiment: Experiment, arm: str, name: str) -> dict[int, float]:
    """Return a metric by seed; NaN where it is undefined or was not measured."""
    values: dict[int, float] = {}
    for run in experiment.runs_of(arm):
        value = run.metrics.get(name, {}).get("value")
        values[run.seed] = float(value) if isinstance(value, (int, float)) else float("nan")
    return values


def _interval(estimate: Estimate) -> Interval:
    return Interval(estimate.value, estimate.low, estimate.high, estimate.n)
