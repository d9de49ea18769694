"""Results over seeds: paired differences, one correction, intervals inside a metric's range."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ectool.metrics.comparison import holm
from ectool.reports.content import Metric
from ectool.reports.evaluation import Evaluation
from ectool.stages.common.layout import ExperimentRecord, RunRecord
from ectool.stages.report.metrics import results_of
from ectool.stages.report.runs import FinishedExperiment, Run
from ectool.types import Estimate

METRICS = {
    "accuracy@original": Metric("accuracy", "share", True),
    "background_gap": Metric("gap", "difference of shares", False),
    "pointing_game": Metric("pointing game", "share", True),
    "nll": Metric("NLL", "in nats", False, is_share=False),
}
PLAIN = {
    "accuracy@original": (0.5, 0.6, 0.55),
    "background_gap": (0.02, -0.05, 0.04),
    "pointing_game": (0.7, 1.0, 0.98),
    "nll": (0.1, 3.0, 0.2),
}
BETTER = {
    "accuracy@original": (0.8, 0.91, 0.84),
    "background_gap": (-0.99, 0.9, 0.99),
    "pointing_game": (0.0, 0.02, 0.1),
    "nll": (0.1, 3.0, 0.2),
}


def experiment(arms: dict[str, dict[str, tuple[float, ...]]]) -> FinishedExperiment:
    nothing = Evaluation("", METRICS, {}, dict.fromkeys(METRICS, "classification"), {})
    here = Path("x")
    runs = tuple(
        Run(
            RunRecord(seed=seed, arm=arm, model=here, evaluation=here, rounds=()),
            replace(
                nothing,
                values={n: Estimate(v[seed], math.nan, math.nan, 9) for n, v in values.items()},
            ),
        )
        for arm, values in arms.items()
        for seed in range(len(values["nll"]))
    )
    record = ExperimentRecord(
        title="t",
        reference="plain",
        epochs=1,
        warmup_epochs=1,
        every=1,
        seeds=tuple(sorted({run.record.seed for run in runs})),
        arms={arm: {} for arm in arms},
        runs=(),
    )
    return FinishedExperiment(here, record, runs)


@pytest.fixture(scope="module")
def found():
    return results_of(experiment({"plain": PLAIN, "better": BETTER}), METRICS)


def test_intervals_of_shares_end_at_0_and_1(found):
    low, high = (found[arm]["pointing_game"].interval for arm in ("better", "plain"))
    t = stats.t.interval(0.95, 2, *_moments(PLAIN["pointing_game"]))
    assert (high.low, t[1] > 1) == (pytest.approx(t[0]), True)
    assert high.high == 1
    assert low.low == 0
    assert (found["better"]["background_gap"].interval.low) == -1
    assert found["plain"]["background_gap"].interval.low < 0
    assert found["plain"]["nll"].interval.low < 0


def _moments(values: tuple[float, ...]) -> tuple[float, float]:
    return float(np.mean(values)), float(stats.sem(values))


def test_cut_intervals_change_neither_mean_nor_test(found):
    headlines = ("accuracy@original", "background_gap", "pointing_game")
    tests = {n: stats.ttest_rel(BETTER[n], PLAIN[n]) for n in headlines}
    expected = holm(np.array([tests[n].pvalue for n in headlines]))
    for name, p_holm in zip(headlines, expected, strict=True):
        result = found["better"][name]
        assert result.interval.value == pytest.approx(np.mean(BETTER[name]))
        assert result.difference.p_value == pytest.approx(tests[name].pvalue)
        assert result.difference.p_holm == pytest.approx(p_holm)
    assert found["better"]["pointing_game"].difference.low == -1


def test_one_seed_has_no_interval_and_no_verdict():
    one = {name: values[:1] for name, values in PLAIN.items()}
    two = {name: values[:1] for name, values in BETTER.items()}
    result = results_of(experiment({"plain": one, "better": two}), METRICS)["better"]
    for one in result.values():
        assert not one.interval.bounded
        assert one.difference.verdict is None
        assert math.isnan(one.difference.p_holm)
