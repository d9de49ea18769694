"""Metrics of a report: those of all models, and the results of every arm over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ectool.config.evaluate import SUITES
from ectool.metrics.comparison import holm
from ectool.metrics.statistics import mean_interval, paired_difference, t_test_p_value, within
from ectool.reports.content import Difference, Metric, Result, compare
from ectool.reports.evaluation import Evaluation
from ectool.reports.leaderboard import headlines
from ectool.stages.evaluate.definitions import describe
from ectool.stages.report.runs import FinishedExperiment
from ectool.types import Estimate


def measured(evaluations: Iterable[Evaluation]) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return every metric of the evaluations, and its suite, in the order of the report."""
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
    experiment: FinishedExperiment, metrics: Mapping[str, Metric]
) -> dict[str, dict[str, Result]]:
    """Return the results of every arm on the metrics, against the experiment's reference.

    Differences are taken between runs of the same seed. Their p-values are corrected (Holm) in two
    families over all arms: the headline metrics, and all other metrics. Intervals are cut at the
    limits of their metrics: those of shares at 0 and 1.
    """
    arms = [arm for arm in experiment.record.arms if arm != experiment.record.reference]
    first = headlines(metrics)
    others = [name for name in metrics if name not in first]
    differences = {
        (arm, name): _difference(experiment, arm, name) for arm in arms for name in metrics
    }
    p_values = {at: t_test_p_value(found, found.n) for at, found in differences.items()}
    corrected: dict[tuple[str, str], float] = {}
    for family in (first, others):
        members = [(arm, name) for arm in arms for name in family]
        p_holm = holm(np.array([p_values[at] for at in members], np.float64))
        corrected |= dict(zip(members, p_holm.tolist(), strict=True))
    compared = {
        at: compare(
            within(found, *_difference_limits(at[1])),
            higher_is_better=metrics[at[1]].higher_is_better,
            p_value=p_values[at],
            p_holm=corrected[at],
        )
        for at, found in differences.items()
    }
    return {
        arm: {name: _result(experiment, arm, name, compared.get((arm, name))) for name in metrics}
        for arm in experiment.record.arms
    }


def _result(
    experiment: FinishedExperiment, arm: str, name: str, difference: Difference | None
) -> Result:
    values = values_of(experiment, arm, name)
    mean = mean_interval(np.array(list(values.values())))
    return Result(values, within(mean, *_limits(name)), difference)


def _limits(name: str) -> tuple[float, float]:
    """Return the lowest and the highest value of a metric."""
    scale = describe(name).scale
    if scale == "number":
        return -math.inf, math.inf
    return (0.0 if scale == "share" else -1.0), 1.0


def _difference_limits(name: str) -> tuple[float, float]:
    """Return the lowest and the highest difference of two values of a metric."""
    low, high = _limits(name)
    return low - high, high - low


def _difference(experiment: FinishedExperiment, arm: str, name: str) -> Estimate:
    """Return the difference of an arm to the reference, between runs of the same seed."""
    values = values_of(experiment, arm, name)
    reference = values_of(experiment, experiment.record.reference, name)
    common = [seed for seed in values if seed in reference]
    return paired_difference(
        np.array([values[seed] for seed in common]), np.array([reference[seed] for seed in common])
    )


def values_of(experiment: FinishedExperiment, arm: str, name: str) -> dict[int, float]:
    """Return a metric by seed; NaN if it is undefined or was not measured."""
    return {run.record.seed: run.evaluation.value(name) for run in experiment.runs_of(arm)}
