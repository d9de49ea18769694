"""What a report compares: the metrics of all models, and of every arm over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ectool.config.evaluate import SUITES
from ectool.metrics.statistics import Estimate, mean_interval, paired_difference
from ectool.reports.content import Interval, Metric, Result, compare
from ectool.reports.evaluation import Evaluation
from ectool.reports.leaderboard import headlines
from ectool.stages.report_runs import FinishedExperiment


def measured(evaluations: Iterable[Evaluation]) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return every metric that some model was evaluated on, and its suite, in the order to show."""
    metrics: dict[str, Metric] = {}
    suites: dict[str, str] = {}
    for evaluation in evaluations:
        metrics |= {n: m for n, m in evaluation.metrics.items() if n not in metrics}
        suites |= evaluation.suites
    first = headlines(metrics)
    places = {n: (_index(SUITES, suites[n]), _index(first, n)) for n in metrics}
    order = sorted(metrics, key=places.__getitem__)
    return {name: metrics[name] for name in order}, {name: suites[name] for name in order}


def _index(known: Sequence[str], name: str) -> int:
    return known.index(name) if name in known else len(known)


def results_of(
    experiment: FinishedExperiment, arm: str, metrics: Mapping[str, Metric]
) -> dict[str, Result]:
    """Return the results of an arm on the metrics, against the experiment's reference."""
    return {name: _result(experiment, arm, name, metric) for name, metric in metrics.items()}


def _result(experiment: FinishedExperiment, arm: str, name: str, metric: Metric) -> Result:
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


def values_of(experiment: FinishedExperiment, arm: str, name: str) -> dict[int, float]:
    """Return a metric by seed; NaN where it is undefined or was not measured."""
    return {run.record.seed: run.evaluation.value(name) for run in experiment.runs_of(arm)}


def _interval(estimate: Estimate) -> Interval:
    return Interval(estimate.value, estimate.low, estimate.high, estimate.n)
