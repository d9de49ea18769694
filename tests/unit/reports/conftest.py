from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from metric_conditions import condition_of

from ectool.reports.content import ExperimentResults, Metric, Sample
from ectool.reports.evaluation import Evaluation
from ectool.reports.report import EvaluatedModel, Failure, GallerySample, Provenance, Report
from ectool.types import Estimate

MakeSample = Callable[..., Sample]
MakeReport = Callable[..., Report]
NAN = math.nan
METRICS = {
    "accuracy@original": (Metric("accuracy, original", "share correct", True), "classification"),
    "nll": (Metric("NLL", "in nats", False, is_share=False), "classification"),
    "background_gap": (Metric("background gap", "a difference", False), "debiasing"),
    "robust@2/255": (Metric("robust accuracy, 2/255", "under attack", True), "robustness"),
    "robust@8/255": (Metric("robust accuracy, 8/255", "under attack", True), "robustness"),
    "explanation_consistency": (Metric("explanation consistency", "E", True), "stability"),
    "heatmap_similarity": (Metric("heatmap similarity", "s_H", True), "stability"),
    "prediction_stability": (Metric("prediction stability", "s_P", True), "stability"),
}
METRICS = {
    name: (replace(metric, condition=condition_of(name)), suite)
    for name, (metric, suite) in METRICS.items()
}


@pytest.fixture
def make_sample() -> MakeSample:
    """Return a function that makes a sample; what is given replaces the defaults."""

    def make(side: int = 16, seed: int = 0, **given: object) -> Sample:
        generator = np.random.default_rng(seed)
        image = generator.integers(0, 250, (3, side, side), dtype=np.uint8)
        fields = {
            "sample_id": f"train/{seed}",
            "choice": "least consistent",
            "label": "cat",
            "predicted": ("cat", "dog"),
            "correct": (True, False),
            "consistency": 0.25,
            "similarity": 0.5,
            "stability": 0.5,
            "weight": 1.5,
            "image": image,
            "perturbed": image + np.uint8(2),
            "clean": generator.random((4, 4), dtype=np.float32),
            "adversarial": generator.random((4, 4), dtype=np.float32),
        }
        return Sample(**(fields | given))

    return make


@pytest.fixture
def make_evaluation() -> Callable[..., Evaluation]:
    """Return a function that makes an evaluation of the values by metric that it is given."""

    def make(name: str = "a", values: dict[str, float] | None = None, **tables) -> Evaluation:
        found = {"accuracy@original": 0.5} if values is None else values
        return Evaluation(
            name=name,
            metrics={key: METRICS[key][0] for key in found},
            values={key: Estimate(v, v - 0.1, v + 0.1, 100) for key, v in found.items()},
            suites={key: METRICS[key][1] for key in found},
            tables=tables,
        )

    return make


@pytest.fixture
def make_report() -> MakeReport:
    """Return a function that makes a report of evaluations and of what else it is given."""

    def make(
        *evaluations: Evaluation,
        groups: dict[str, str] | None = None,
        experiments: tuple[ExperimentResults, ...] = (),
        gallery: tuple[GallerySample, ...] = (),
        failures: tuple[Failure, ...] = (),
        provenance: Provenance | None = None,
        title: str = "Größe <b>",
    ) -> Report:
        metrics = {n: m for one in evaluations for n, m in one.metrics.items()}
        groups = groups or {}
        return Report(
            title=title,
            metrics=metrics,
            suites={name: METRICS[name][1] for name in metrics},
            entries=tuple(
                EvaluatedModel(e, groups.get(e.name, e.name), "data") for e in evaluations
            ),
            failures=failures,
            experiments=experiments,
            gallery=gallery,
            provenance=provenance
            or Provenance(("data",), {"numpy": "2"}, {"train": {"seed": None}}, "command"),
        )

    return make
