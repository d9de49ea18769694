"""Accuracy and calibration on the unchanged images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ectool.datasets.base import Groups
from ectool.metrics import multilabel
from ectool.metrics.calibration import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_table,
)
from ectool.metrics.classification import (
    class_accuracies,
    confusion,
    is_correct,
    is_correct_top_k,
)
from ectool.metrics.ranking import Interpolation
from ectool.metrics.strata import balanced_accuracy, worst_group_accuracy
from ectool.stages.common.layout import PREDICTIONS
from ectool.stages.common.shards import Work
from ectool.stages.evaluate.suites.base import Columns, Resampling, Suite, Table
from ectool.stages.evaluate.suites.evaluated import Evaluated
from ectool.stages.evaluate.suites.parts import ORIGINAL, Part, Subject, mapped
from ectool.stages.evaluate.suites.tables import table
from ectool.types import Estimate

TOP = 5
MEAN_AVERAGE_PRECISION: Mapping[str, Interpolation] = {"map": "all-points", "map11": "11-point"}


def _work(subject: Subject) -> Work[Any]:
    from ectool.stages.evaluate.suites.classification.predict import PredictWork

    return PredictWork(subject.model, {ORIGINAL: subject.original})


PREDICTED = mapped(PREDICTIONS, "predictions", _work)
"""Predictions for the unchanged images, which every evaluation has."""


def parts(subject: Subject) -> tuple[Part, ...]:  # noqa: ARG001 (protocol)
    """Return the predictions."""
    return (PREDICTED,)


def columns(evaluated: Evaluated) -> Columns:
    """Return, for every sample, whether it is classified correctly, and its scores."""
    found = accuracies(evaluated.logits(PREDICTIONS, ORIGINAL), evaluated.labels, ORIGINAL)
    return found if evaluated.is_multilabel else found | _scored(evaluated)


def accuracies(logits: np.ndarray, labels: np.ndarray, detail: str) -> Columns:
    """Return the correctness of predictions under a condition; multi-label: label by label."""
    if labels.ndim == 1:
        return {f"accuracy@{detail}": is_correct(logits, labels)}
    return {
        f"label_accuracy@{detail}": multilabel.label_accuracy(logits, labels),
        f"exact_match@{detail}": multilabel.exact_match(logits, labels),
    }


def mean_average_precisions(
    logits: np.ndarray, labels: np.ndarray, detail: str, resampling: Resampling, prefix: str = ""
) -> dict[str, Estimate]:
    """Return both mean average precisions of predictions under a condition."""
    return {
        f"{prefix}{base}@{detail}": multilabel.mean_average_precision_interval(
            logits,
            labels,
            interpolation=interpolation,
            resamples=resampling.resamples,
            seed=resampling.seed,
        )
        for base, interpolation in MEAN_AVERAGE_PRECISION.items()
    }


def _scored(evaluated: Evaluated) -> Columns:
    logits, labels = evaluated.logits(PREDICTIONS, ORIGINAL), evaluated.labels
    found: Columns = {
        "nll": negative_log_likelihood(logits, labels),
        "brier": brier_score(logits, labels),
    }
    if logits.shape[1] > TOP:
        found["top5_accuracy"] = is_correct_top_k(logits, labels, TOP)
    return found


def estimates(evaluated: Evaluated, resampling: Resampling) -> dict[str, Estimate]:
    """Return the metrics that are not means over samples."""
    logits, labels = evaluated.logits(PREDICTIONS, ORIGINAL), evaluated.labels
    if evaluated.is_multilabel:
        return mean_average_precisions(logits, labels, ORIGINAL, resampling)
    resamples, seed = resampling.resamples, resampling.seed
    correct, groups = evaluated.correct(PREDICTIONS, ORIGINAL), _groups(evaluated)
    found = {
        "balanced_accuracy": balanced_accuracy(correct, labels),
        "ece": expected_calibration_error(logits, labels, resamples=resamples, seed=seed),
    }
    if groups is not None:
        found["worst_group_accuracy"] = worst_group_accuracy(correct, groups.of_samples)
    return found


def _groups(evaluated: Evaluated) -> Groups | None:
    return None if evaluated.dataset is None else evaluated.dataset.groups


def tables(evaluated: Evaluated, resampling: Resampling) -> dict[str, Table]:  # noqa: ARG001 (protocol)
    """Return accuracy by class; single-label data: by group too, confusion and reliability."""
    logits, labels = evaluated.logits(PREDICTIONS, ORIGINAL), evaluated.labels
    classes, groups = evaluated.classes, _groups(evaluated)
    if evaluated.is_multilabel:
        return {"classes": table(multilabel.class_table(logits, labels, classes))}
    correct = evaluated.correct(PREDICTIONS, ORIGINAL)
    found = {
        "classes": table(class_accuracies(correct, labels, classes)),
        "confusion": table(confusion(logits, labels, classes)),
        "reliability": table(reliability_table(logits, labels)),
    }
    if groups is not None:
        accuracy = class_accuracies(correct, groups.of_samples, groups.names)
        found["groups"] = table(accuracy)
    return found


SUITE = Suite(parts, columns, estimates, tables)
