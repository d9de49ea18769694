"""From the artifacts of an evaluation to its metrics, without the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from ectool.artifacts.artifact import Artifact
from ectool.datasets.base import Annotations, Dataset, is_multilabel
from ectool.metrics import multilabel
from ectool.metrics.calibration import (
    ReliabilityBin,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_table,
)
from ectool.metrics.catalogue import describe
from ectool.metrics.classification import (
    ClassAccuracy,
    balanced_accuracy,
    class_accuracies,
    is_correct,
    is_correct_top_k,
)
from ectool.metrics.debiasing import background_gaps
from ectool.metrics.localization import (
    box_masks,
    energy_inside,
    mask_iou,
    pointing_game,
    relevance_rank,
)
from ectool.metrics.multilabel import ClassResult
from ectool.metrics.ranking import Interpolation
from ectool.metrics.statistics import Estimate, bootstrap_interval, mean_per_sample
from ectool.options import format_eps
from ectool.stages.inputs import positions

Values = Float[np.ndarray, "n"]
Table = list[dict[str, object]]
ORIGINAL = "original"
TOP = 5
LOCALIZATION = {
    "pointing_game": pointing_game,
    "energy_inside": energy_inside,
    "relevance_rank": relevance_rank,
    "mask_iou": mask_iou,
}
MEAN_AVERAGE_PRECISION: Mapping[str, Interpolation] = {"map": "all-points", "map11": "11-point"}
ROWS = 512
"""Heatmaps upsampled at a time."""


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation is measured from.

    Attributes:
        predictions: Logits of every condition.
        variants: Names of the background variants, which are conditions too.
        attacks: Condition of every attack, by its radius as papers write it.
        dataset: The pictures; None where they are not at hand, then without localization.
        heatmaps: Clean and perturbed heatmaps, where the model can be explained.
        weights: Explanation consistency, likewise.
        challenge: Objects that are recognised on every background, where that was asked for.
    """

    predictions: Artifact
    variants: tuple[str, ...]
    attacks: Mapping[str, str]
    dataset: Dataset | None = None
    heatmaps: Artifact | None = None
    weights: Artifact | None = None
    challenge: Artifact | None = None

    def logits(self, condition: str) -> Float[np.ndarray, "n c"]:
        """Return what the model answered under a condition."""
        return self.predictions.read(f"{condition}/logits")

    def order_in(self, artifact: Artifact) -> np.ndarray:
        """Return where each sample of the predictions lies in another artifact.

        Raises:
            InputError: One is not there.
        """
        return positions(
            self.predictions.sample_ids,
            artifact.sample_ids,
            str(artifact.path),
            "evaluate again into a new --output",
        )


def condition_of(eps: float, steps: int) -> str:
    """Name the condition of an attack in the predictions artifact, e.g. `pgd20-linf-2_255`."""
    return f"pgd{steps}-linf-{format_eps(eps).replace('/', '_')}"


def attack_conditions(radii: Sequence[float], steps: int) -> dict[str, str]:
    """Return the condition of every attack, by its radius as papers write it."""
    return {format_eps(eps): condition_of(eps, steps) for eps in radii}


def estimates(evaluated: Evaluated, *, resamples: int, seed: int) -> dict[str, Estimate]:
    """Return every metric with its bootstrap interval over samples."""
    labels = evaluated.predictions.read("label")
    means = {
        name: bootstrap_interval(column, resamples=resamples, seed=seed)
        for name, column in columns(evaluated).items()
    }
    if is_multilabel(labels):
        return _ranked(evaluated, labels.astype(np.int8), resamples, seed) | means
    return means | _over_all(evaluated, labels, resamples, seed)


def columns(evaluated: Evaluated) -> dict[str, Values]:
    """Return every metric that is a mean over samples, as one value for each of them.

    Returns:
        Columns in the order of the predictions; NaN where a metric of a sample is undefined.
    """
    labels = evaluated.predictions.read("label")
    found = (_right_labels if is_multilabel(labels) else _right)(evaluated, labels)
    if evaluated.challenge is not None:
        robust = evaluated.challenge.read("robust")
        found["background_robustness"] = robust[evaluated.order_in(evaluated.challenge)]
    if evaluated.heatmaps is not None and evaluated.dataset is not None:
        order = evaluated.order_in(evaluated.heatmaps)
        scores = localization(evaluated.heatmaps, evaluated.dataset)
        found |= {name: score[order] for name, score in scores.items()}
    if evaluated.weights is not None:
        consistency = evaluated.weights.read("explanation_consistency")
        found["explanation_consistency"] = consistency[evaluated.order_in(evaluated.weights)]
    return {name: np.asarray(column, np.float64) for name, column in found.items()}


def _right(evaluated: Evaluated, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Tell of every sample whether it is classified correctly, and how its answer scores."""
    conditions = {
        **{f"accuracy@{name}": name for name in evaluated.variants},
        **{f"robust@{eps}": condition for eps, condition in evaluated.attacks.items()},
    }
    found = {name: is_correct(evaluated.logits(c), labels) for name, c in conditions.items()}
    if {"accuracy@mixed_rand", "accuracy@mixed_same"} <= found.keys():
        found["background_gap"] = background_gaps(
            found["accuracy@mixed_same"], found["accuracy@mixed_rand"]
        )
    return found | _scored(evaluated.logits(ORIGINAL), labels)


def _scored(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Score the answer to every original picture, beyond right or wrong."""
    found = {
        "nll": negative_log_likelihood(logits, labels),
        "brier": brier_score(logits, labels),
    }
    if logits.shape[1] > TOP:
        found["top5_accuracy"] = is_correct_top_k(logits, labels, TOP)
    return found


def _over_all(
    evaluated: Evaluated, labels: np.ndarray, resamples: int, seed: int
) -> dict[str, Estimate]:
    """Return the metrics of the original pictures that are no means over samples."""
    logits = evaluated.logits(ORIGINAL)
    correct = is_correct(logits, labels)
    return {
        "balanced_accuracy": balanced_accuracy(correct, labels, resamples=resamples, seed=seed),
        "ece": expected_calibration_error(logits, labels, resamples=resamples, seed=seed),
    }


def _right_labels(evaluated: Evaluated, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Tell of every sample which share of its labels is right, and whether all are."""
    found = {}
    for name in evaluated.variants:
        logits = evaluated.logits(name)
        found[f"label_accuracy@{name}"] = multilabel.label_accuracy(logits, labels)
        found[f"exact_match@{name}"] = multilabel.exact_match(logits, labels)
    return found


def _ranked(
    evaluated: Evaluated, labels: np.ndarray, resamples: int, seed: int
) -> dict[str, Estimate]:
    """Return mean average precision both ways, of every variant and under every attack."""
    conditions = {
        **{f"@{name}": name for name in evaluated.variants},
        **{f"robust@{eps}": condition for eps, condition in evaluated.attacks.items()},
    }
    found = {}
    for name, condition in conditions.items():
        robust, _, detail = name.rpartition("@")
        for base, interpolation in MEAN_AVERAGE_PRECISION.items():
            full = f"{robust}_{base}@{detail}" if robust else f"{base}@{detail}"
            found[full] = multilabel.mean_average_precision_interval(
                evaluated.logits(condition),
                labels,
                interpolation=interpolation,
                resamples=resamples,
                seed=seed,
            )
    return found


def tables(evaluated: Evaluated, classes: Sequence[str]) -> dict[str, Table]:
    """Return what the original pictures say class by class and, of one label each, confidence."""
    labels, logits = evaluated.predictions.read("label"), evaluated.logits(ORIGINAL)
    if is_multilabel(labels):
        return {"classes": _table(multilabel.class_table(logits, labels.astype(np.int8), classes))}
    accuracies = class_accuracies(is_correct(logits, labels), labels, classes)
    return {
        "classes": _table(accuracies),
        "reliability": _table(reliability_table(logits, labels)),
    }


def _table(lines: Sequence[ClassAccuracy | ClassResult | ReliabilityBin]) -> Table:
    """Return the lines of a table as JSON values."""
    return [
        {name: number(v) if isinstance(v, float) else v for name, v in asdict(line).items()}
        for line in lines
    ]


def localization(heatmaps: Artifact, dataset: Dataset) -> dict[str, Values]:
    """Return pointing game, energy and IoU of the clean heatmaps; nothing without object truth.

    Of multi-label data each explained label has a heatmap and objects of its own; a sample's value
    is the mean over its labels. Memory: bounded by `ROWS` upsampled maps.
    """
    parts: list[dict[str, Values]] = []
    for start in range(0, len(heatmaps), ROWS):
        stop = min(start + ROWS, len(heatmaps))
        maps = heatmaps.read("clean", start, stop).astype(np.float32)
        target = heatmaps.read("target", start, stop).astype(np.int64)
        samples = np.arange(stop - start) if target.ndim == 1 else np.nonzero(target >= 0)[0]
        targets = None if target.ndim == 1 else target[target >= 0]
        objects = object_masks(dataset, start + samples, targets)
        if objects is None:
            return {}
        flat = maps if targets is None else maps[target >= 0]
        parts.append(
            {
                name: mean_per_sample(score(flat, objects), samples, stop - start)
                for name, score in LOCALIZATION.items()
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in LOCALIZATION}


def object_masks(
    dataset: Dataset, rows: np.ndarray, targets: np.ndarray | None = None
) -> np.ndarray | None:
    """Return where the objects are: masks, else filled boxes, else None."""
    if len(rows) == 0:
        return np.zeros((0, *dataset.size), np.bool_)
    found: Annotations = dataset.annotations(rows, targets)
    if found.masks is not None or found.boxes is None:
        return found.masks
    return np.stack([box_masks(boxes, dataset.size).any(axis=0) for boxes in found.boxes])


def summarize(found: Mapping[str, Estimate]) -> dict[str, dict[str, object]]:
    """Return value, interval and meaning of every metric, ready for JSON."""
    summary: dict[str, dict[str, object]] = {}
    for name, estimate in found.items():
        info = describe(name)
        summary[name] = {
            "value": number(estimate.value),
            "low": number(estimate.low),
            "high": number(estimate.high),
            "n": estimate.n,
            "label": info.label,
            "definition": info.definition,
            "higher_is_better": info.higher_is_better,
            "is_share": info.is_share,
        }
    return summary


def number(value: float) -> float | None:
    """Return a number that JSON can hold; None where it is undefined."""
    return float(value) if np.isfinite(value) else None
