"""Reports of invented models, with every table and metric of the page and of the papers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from metric_conditions import condition_of

from ectool.reports.content import Arm, Difference, ExperimentResults, Metric, Result, compare
from ectool.reports.evaluation import Evaluation
from ectool.reports.report import EvaluatedModel, Provenance, Report
from ectool.types import Estimate

CLASSES = ("water bird", "land_bird", "50 % & {others}")
METRICS = {
    "accuracy@original": ("classification", Metric("accuracy, original", "share correct", True)),
    "nll": ("classification", Metric("negative log-likelihood", "in nats", False, False)),
    "ece": ("classification", Metric("calibration error", "ECE", False)),
    "accuracy@mixed_rand": ("debiasing", Metric("accuracy, mixed_rand", "share correct", True)),
    "background_gap": ("debiasing", Metric("background gap", "difference", False)),
    "robust@2/255": ("robustness", Metric("robust accuracy, 2/255", "share correct", True)),
    "robust@8/255": ("robustness", Metric("robust accuracy, 8/255", "share correct", True)),
    "robust@l2-0.5": ("robustness", Metric("robust accuracy, l2-0.5", "share correct", True)),
    "robust_worst@2/255": (
        "robustness",
        Metric("robust accuracy (worst), 2/255", "share correct", True),
    ),
    "corruption_accuracy@fog": ("robustness", Metric("accuracy, fog", "mean", True)),
    "corruption_accuracy@motion_blur": ("robustness", Metric("accuracy, blur", "mean", True)),
    "explanation_consistency": ("stability", Metric("explanation consistency", "E", True)),
}
VALUES = (0.91, 0.31, 0.04, 0.74, 0.12, 0.61, 0.22, 0.55, 0.5, 0.7, 0.6, 0.8)
SUITES = {name: suite for name, (suite, _) in METRICS.items()}
MEANINGS = {
    name: replace(metric, condition=condition_of(name)) for name, (_, metric) in METRICS.items()
}
IMAGES = 600
SIGNIFICANT = ("background_gap", "robust@2/255", "nll")
"""Metrics on which all arms differ significantly from the first."""


def report_of(
    names: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    experiments: Sequence[ExperimentResults] = (),
) -> Report:
    """Return a report of models by their names."""
    entries = [
        EvaluatedModel(evaluation_of(name, seed), group, "digits/test")
        for seed, (name, group) in enumerate(zip(names, groups or names, strict=True))
    ]
    provenance = Provenance(data=(), versions={}, settings={}, command="ectool report")
    return Report(
        title="Report",
        metrics=MEANINGS,
        suites=SUITES,
        entries=tuple(entries),
        failures=(),
        experiments=tuple(experiments),
        gallery=(),
        provenance=provenance,
    )


def evaluation_of(name: str, seed: int = 0, **tables: Sequence[Mapping[str, Any]]) -> Evaluation:
    """Return what was found of a model; no two seeds give the same numbers."""
    generator = np.random.default_rng(seed)
    values = {}
    for metric, value in zip(METRICS, VALUES, strict=True):
        mean = value * float(generator.uniform(0.8, 1.05))
        values[metric] = Estimate(mean, mean - 0.02, mean + 0.03, IMAGES)
    made = {
        "classes": _classes(generator),
        "reliability": _reliability(generator),
        "confusion": _confusion(generator),
        "curves": _strengths(generator),
        "faithfulness_curves": _curves(generator),
    }
    return Evaluation(name, MEANINGS, values, SUITES, made | tables)


def experiment_of(arms: Sequence[str], seeds: int = 3, epochs: int = 10) -> ExperimentResults:
    """Return an experiment of arms by their names; the first is the reference."""
    return ExperimentResults(
        title="Digits",
        reference=arms[0],
        seeds=tuple(range(seeds)),
        epochs=epochs,
        warmup_epochs=2,
        every=1,
        metrics=MEANINGS,
        arms=tuple(_arm(name, number, seeds, epochs) for number, name in enumerate(arms)),
        round_samples=None,
    )


def _arm(name: str, number: int, seeds: int, epochs: int) -> Arm:
    generator = np.random.default_rng(number)
    results = {}
    for metric, value in zip(METRICS, VALUES, strict=True):
        values = dict(enumerate(value * generator.uniform(0.9, 1, seeds)))
        mean = float(np.mean(list(values.values())))
        interval = Estimate(mean, mean - 0.04, mean + 0.04, seeds)
        difference = _difference(metric, number, seeds) if number else None
        results[metric] = Result(values, interval, difference)
    histories = {
        seed: [
            {"epoch": epoch, "loss": 2 / (epoch + number + generator.uniform(0, 0.5)),
             "accuracy": 1 - 0.9 / (epoch + generator.uniform(0, 0.5))}
            for epoch in range(1, epochs + 1)
        ]
        for seed in range(seeds)
    }  # fmt: skip
    return Arm(name, {}, results, histories, rounds={})


def _difference(metric: str, number: int, seeds: int) -> Difference:
    """Return the difference of an arm: significant on some metrics, if there are seeds."""
    value = (0.05 if MEANINGS[metric].higher_is_better else -0.02) * number
    ends = (value - 0.03, value + 0.03) if seeds > 1 else (math.nan, math.nan)
    p_holm = 0.01 if metric in SIGNIFICANT else 0.4
    return compare(
        Estimate(value, *ends, seeds),
        higher_is_better=MEANINGS[metric].higher_is_better,
        p_value=p_holm / 10 if seeds > 1 else math.nan,
        p_holm=p_holm if seeds > 1 else math.nan,
    )


def _line(value: float, n: int = IMAGES) -> dict[str, Any]:
    return {"value": value, "low": value - 0.03, "high": value + 0.03, "n": n}


def _classes(generator: np.random.Generator) -> list[dict[str, Any]]:
    shares = generator.uniform(0.6, 0.95, len(CLASSES)).tolist()
    return [
        {"name": name, "accuracy": share, "low": share - 0.06, "high": share + 0.05, "n": 200}
        for name, share in zip(CLASSES, shares, strict=True)
    ]


def _reliability(generator: np.random.Generator) -> list[dict[str, Any]]:
    edges = np.linspace(0, 1, 16)
    n = [0, 0, 0, 5, 8, 12, 15, 20, 25, 30, 40, 55, 80, 120, 190]
    lines = []
    for low, high, count in zip(edges[:-1], edges[1:], n, strict=True):
        middle = (low + high) / 2
        accuracy = float(np.clip(middle - generator.uniform(-0.05, 0.12), 0, 1))
        lines.append(
            {
                "low": float(low),
                "high": float(high),
                "confidence": float(middle) if count else None,
                "accuracy": accuracy if count else None,
                "n": count,
            }
        )
    return lines


def _confusion(generator: np.random.Generator) -> list[dict[str, Any]]:
    return [
        {
            "label": a,
            "predicted": b,
            "n": int(generator.integers(150, 180) if a == b else 20),
        }
        for a in CLASSES
        for b in CLASSES
        if (a, b) != (CLASSES[0], CLASSES[2])
    ]


def _strengths(generator: np.random.Generator) -> list[dict[str, Any]]:
    attacks = (("pgd", "linf", 255), ("apgd-t", "linf", 255), ("pgd", "l2", 4))
    lines = [
        {"curve": "robustness", "attack": attack, "norm": norm, "eps": level / scale,
         **_line(0.9 / (1 + level * float(generator.uniform(0.2, 0.4))))}
        for attack, norm, scale in attacks
        for level in (0, 1, 2, 8)
    ]  # fmt: skip
    return lines + [
        {"curve": "corruption", "corruption": kind, "severity": severity,
         **_line(0.9 - float(generator.uniform(0.05, 0.1)) * severity)}
        for kind in ("fog", "motion_blur")
        for severity in range(1, 6)
    ]  # fmt: skip


def _curves(generator: np.random.Generator) -> list[dict[str, Any]]:
    lines = []
    for curve, sign in (("deletion", -1), ("insertion", 1)):
        for maps, rate in (("method", 6.0), ("centre", 4.0), ("random", 2.5)):
            for share in np.linspace(0, 1, 21).tolist():
                fallen = 0.9 * math.exp(-rate * share) + float(generator.uniform(0, 0.01))
                value = fallen if sign < 0 else 0.95 - fallen
                lines.append({"curve": curve, "maps": maps, "share": share, **_line(value)})
    return lines
