"""From the artifacts of an evaluation to its metrics, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from ectool.artifacts.artifact import Artifact
from ectool.config import EvaluateConfig
from ectool.datasets.base import Annotations, Dataset, is_multilabel
from ectool.metrics import multilabel
from ectool.metrics.catalogue import describe
from ectool.metrics.classification import is_correct
from ectool.metrics.debiasing import background_gaps
from ectool.metrics.localization import box_masks, energy_inside, mask_iou, pointing_game
from ectool.metrics.ranking import Interpolation
from ectool.metrics.statistics import Estimate, bootstrap_interval, mean_per_sample
from ectool.options import format_eps

Values = Float[np.ndarray, "n"]
LOCALIZATION = {
    "pointing_game": pointing_game,
    "energy_inside": energy_inside,
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
        dataset: The pictures.
        config: Options of the evaluation.
        variants: Names of the background variants, which are conditions too.
        heatmaps: Clean and perturbed heatmaps, where the model can be explained.
        weights: Explanation consistency, likewise.
        challenge: Objects that are recognised on every background, where that was asked for.
    """

    predictions: Artifact
    dataset: Dataset
    config: EvaluateConfig
    variants: tuple[str, ...]
    heatmaps: Artifact | None = None
    weights: Artifact | None = None
    challenge: Artifact | None = None

    @property
    def attacks(self) -> Mapping[str, str]:
        """Return the condition of every attack, by its radius as papers write it."""
        steps = self.config.steps
        return {format_eps(eps): condition_of(eps, steps) for eps in self.config.eps}

    def logits(self, condition: str) -> Float[np.ndarray, "n c"]:
        """Return what the model answered under a condition."""
        return self.predictions.read(f"{condition}/logits")


def condition_of(eps: float, steps: int) -> str:
    """Name the condition of an attack in the predictions artifact, e.g. `pgd20-linf-2_255`."""
    return f"pgd{steps}-linf-{format_eps(eps).replace('/', '_')}"


def estimates(evaluated: Evaluated) -> dict[str, Estimate]:
    """Return every metric with its bootstrap interval over samples."""
    labels = evaluated.predictions.read("label")
    several = is_multilabel(labels)
    found = _ranked(evaluated, labels.astype(np.int8)) if several else {}
    columns = _right_labels(evaluated, labels) if several else _right(evaluated, labels)
    if evaluated.challenge is not None:
        columns["background_robustness"] = evaluated.challenge.read("robust")
    if evaluated.heatmaps is not None:
        columns |= localization(evaluated.heatmaps, evaluated.dataset)
    if evaluated.weights is not None:
        columns["explanation_consistency"] = evaluated.weights.read("explanation_consistency")
    config = evaluated.config
    return found | {
        name: bootstrap_interval(
            np.asarray(column, np.float64), resamples=config.bootstrap, seed=config.seed
        )
        for name, column in columns.items()
    }


def _right(evaluated: Evaluated, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Tell of every sample whether it is classified correctly, and its background gap."""
    conditions = {
        **{f"accuracy@{name}": name for name in evaluated.variants},
        **{f"robust@{eps}": condition for eps, condition in evaluated.attacks.items()},
    }
    found = {name: is_correct(evaluated.logits(c), labels) for name, c in conditions.items()}
    if {"accuracy@mixed_rand", "accuracy@mixed_same"} <= found.keys():
        found["background_gap"] = background_gaps(
            found["accuracy@mixed_same"], found["accuracy@mixed_rand"]
        )
    return found


def _right_labels(evaluated: Evaluated, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Tell of every sample which share of its labels is right, and whether all are."""
    found = {}
    for name in evaluated.variants:
        logits = evaluated.logits(name)
        found[f"label_accuracy@{name}"] = multilabel.label_accuracy(logits, labels)
        found[f"exact_match@{name}"] = multilabel.exact_match(logits, labels)
    return found


def _ranked(evaluated: Evaluated, labels: np.ndarray) -> dict[str, Estimate]:
    """Return mean average precision both ways, of every variant and under every attack."""
    config = evaluated.config
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
                resamples=config.bootstrap,
                seed=config.seed,
            )
    return found


def class_table(evaluated: Evaluated) -> list[dict[str, object]]:
    """Return average precision and counts of every class; nothing for single-label data."""
    labels = evaluated.predictions.read("label")
    if not is_multilabel(labels):
        return []
    lines = multilabel.class_table(
        evaluated.logits("original"), labels.astype(np.int8), evaluated.dataset.classes
    )
    return [{**asdict(line), "average_precision": number(line.average_precision)} for line in lines]


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
        }
    return summary


def number(value: float) -> float | None:
    """Return a number that JSON can hold; None where it is undefined."""
    return float(value) if np.isfinite(value) else None
