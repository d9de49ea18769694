"""A report of made-up numbers that has every section, for tests in a browser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from metric_conditions import condition_of

from ectool.reports.content import Metric, Sample
from ectool.reports.evaluation import Evaluation
from ectool.reports.report import EvaluatedModel, Failure, GallerySample, Provenance, Report
from ectool.types import Estimate

CLASSES = ("ant", "<b>bee</b>", "cat")
MODELS = ("plain, seed 0", "plain, seed 1", "weighted, seed 0", "</script><i>odd</i>")
METRICS = {
    "accuracy@original": (Metric("accuracy, original", "share correct", True), "classification"),
    "ece": (Metric("calibration error", "distance", False), "classification"),
    "nll": (Metric("negative log-likelihood", "in nats", False, False), "classification"),
    "background_gap": (Metric("background gap", "difference", False), "debiasing"),
    "accuracy@mixed_rand": (Metric("accuracy, mixed_rand", "share", True), "debiasing"),
    "robust@2/255": (Metric("robust accuracy, 2/255", "attacked", True), "robustness"),
    "robust@8/255": (Metric("robust accuracy, 8/255", "attacked", True), "robustness"),
    "energy_inside": (Metric("energy inside the object", "share", True), "localization"),
    "insertion": (Metric("insertion AUC", "area", True), "faithfulness"),
    "explanation_consistency": (Metric("explanation consistency", "E", True), "stability"),
}
MEANINGS = {
    name: replace(metric, condition=condition_of(name)) for name, (metric, _) in METRICS.items()
}
DATA = "digits (test, 0123456789ab)"
SIDE, PER_CLASS = 32, 4
UNDEFINED = ("nll", MODELS[3])
"""A metric that is undefined for a model."""


def report(models: int = len(MODELS)) -> Report:
    """Return a report of a number of models; after the first four, their names are `model N`."""
    generator = np.random.default_rng(0)
    names = [*MODELS, *(f"model {number}" for number in range(len(MODELS), models))][:models]
    return Report(
        title="Audit of <models> & more",
        metrics=MEANINGS,
        suites={name: suite for name, (_, suite) in METRICS.items()},
        entries=tuple(
            EvaluatedModel(_evaluation(name, generator), name.partition(",")[0], DATA)
            for name in names
        ),
        failures=(Failure("broken", "model.pth: expected weights of resnet18, got <none>"),),
        experiments=(),
        gallery=tuple(
            _gallery_sample(names, label, number, generator)
            for label in CLASSES
            for number in range(PER_CLASS)
        ),
        provenance=Provenance(
            (DATA,),
            {"numpy": "2"},
            {"evaluate": {"eps": 1}},
            "ectool report",
        ),
    )


def _evaluation(name: str, generator: np.random.Generator) -> Evaluation:
    values = {}
    for metric in METRICS:
        value = float(generator.uniform(0.1, 0.9))
        if (metric, name) == UNDEFINED:
            values[metric] = Estimate(float("nan"), float("nan"), float("nan"), 0)
        else:
            values[metric] = Estimate(value, value - 0.04, value + 0.04, 600)
    return Evaluation(
        name=name,
        metrics=MEANINGS,
        values=values,
        suites={key: suite for key, (_, suite) in METRICS.items()},
        tables=_tables(generator),
    )


def _tables(generator: np.random.Generator) -> dict[str, list[dict[str, object]]]:
    shares = np.linspace(0, 1, 11)
    return {
        "classes": [
            {"name": c, "n": 20 * k, "accuracy": float(generator.random()), "low": 0.1, "high": 0.9}
            for k, c in enumerate(CLASSES, 1)
        ],
        "reliability": [
            {
                "low": b / 5,
                "high": (b + 1) / 5,
                "confidence": b / 5 + 0.1,
                "accuracy": b / 6,
                "n": 90,
            }
            for b in range(5)
        ],
        "confusion": [
            {"label": a, "predicted": b, "n": int(generator.integers(0, 30))}
            for a in CLASSES
            for b in CLASSES
        ],
        "sanity": [{"layer": "conv1", "mode": "cascading", "value": 0.25, "low": None, "n": 600}],
        "faithfulness_curves": [
            {
                "curve": curve,
                "maps": maps,
                "share": float(x),
                "value": float(y),
                "low": float(y) - 0.03,
                "high": float(y) + 0.03,
                "n": 600,
            }
            for curve in ("insertion", "deletion")
            for maps, power in (("method", 2.0), ("random", 1.0), ("centre", 1.4))
            for x, y in zip(shares, 0.9 * shares**power, strict=True)
        ],
    }


def _gallery_sample(
    names: list[str], label: str, number: int, generator: np.random.Generator
) -> GallerySample:
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    colour = generator.uniform(0.2, 1, 3)[:, None, None]
    image = (255 * colour * (0.5 + 0.5 * np.sin(9 * x + number) * np.cos(7 * y))).astype(np.uint8)
    by_model = {}
    for name in names:
        noise = generator.integers(-2, 3, image.shape) * (y > 0.5)
        peak = np.exp(-(((x - generator.random()) ** 2 + (y - generator.random()) ** 2) * 8))
        is_correct = bool(generator.random() < 0.7)
        by_model[name] = Sample(
            sample_id=f"test/{label}/{number}",
            choice="evenly spread",
            label=label,
            predicted=(label if is_correct else "dog", "dog"),
            correct=(is_correct, False),
            consistency=(number + 0.5) / PER_CLASS,
            similarity=1.0,
            stability=(number + 0.5) / PER_CLASS,
            weight=2 - number / 2,
            image=image,
            perturbed=np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8),
            clean=peak[::4, ::4].astype(np.float32),
            adversarial=(0.7 * peak[::4, ::4]).astype(np.float32),
        )
    return GallerySample(by_model)
