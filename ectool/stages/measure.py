"""From the artifacts of an evaluation to its metrics, without the model."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ectool.artifacts.artifact import Artifact
from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset
from ectool.datasets.registry import find_entry
from ectool.metrics.catalogue import describe
from ectool.metrics.classification import is_correct
from ectool.metrics.debiasing import background_gaps
from ectool.metrics.localization import box_masks, energy_inside, mask_iou, pointing_game
from ectool.metrics.statistics import bootstrap_interval
from ectool.options import format_eps

Values = Float[np.ndarray, "n"]
ROWS = 512
"""Heatmaps upsampled at a time."""


def condition_of(eps: float, steps: int) -> str:
    """Name the condition of an attack in the predictions artifact, e.g. `pgd20-linf-2_255`."""
    return f"pgd{steps}-linf-{format_eps(eps).replace('/', '_')}"


def per_sample(
    predictions: Artifact,
    heatmaps: Artifact,
    weights: Artifact,
    dataset: Dataset,
    config: EvaluateConfig,
) -> dict[str, Values]:
    """Return every metric's value for every sample, NaN where it is undefined."""
    labels = predictions.read("label")

    def correct(condition: str) -> np.ndarray:
        return is_correct(predictions.read(f"{condition}/logits"), labels)

    attacks = {f"robust@{format_eps(eps)}": condition_of(eps, config.steps) for eps in config.eps}
    clean = {f"accuracy@{name}": name for name in find_entry(config.data).variants}
    found = {name: correct(condition) for name, condition in (clean | attacks).items()}
    if "accuracy@mixed_rand" in found:
        found["background_gap"] = background_gaps(
            found["accuracy@mixed_same"], found["accuracy@mixed_rand"]
        )
    found |= localization(heatmaps, dataset)
    found["explanation_consistency"] = weights.read("explanation_consistency")
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def localization(heatmaps: Artifact, dataset: Dataset) -> dict[str, Values]:
    """Return pointing game, energy and IoU of the clean heatmaps; nothing without object masks.

    Memory: bounded by `ROWS` upsampled maps.
    """
    parts: list[tuple[Values, Values, Values]] = []
    for start in range(0, len(heatmaps), ROWS):
        stop = min(start + ROWS, len(heatmaps))
        objects = object_masks(dataset, start, stop)
        if objects is None:
            return {}
        maps = heatmaps.read("clean", start, stop).astype(np.float32)
        parts.append(
            (pointing_game(maps, objects), energy_inside(maps, objects), mask_iou(maps, objects))
        )
    names = ("pointing_game", "energy_inside", "mask_iou")
    columns = zip(*parts, strict=True)
    return {name: np.concatenate(column) for name, column in zip(names, columns, strict=True)}


def object_masks(dataset: Dataset, start: int, stop: int) -> np.ndarray | None:
    """Return where the objects are: masks, else filled boxes, else None."""
    found = dataset.annotations(np.arange(start, stop))
    if found.masks is not None or found.boxes is None:
        return found.masks
    return np.stack([box_masks(boxes, dataset.size).any(axis=0) for boxes in found.boxes])


def summarize(values: dict[str, Values], config: EvaluateConfig) -> dict[str, dict[str, object]]:
    """Return mean, bootstrap interval and meaning of every metric, ready for JSON."""
    summary: dict[str, dict[str, object]] = {}
    for name, column in values.items():
        info = describe(name)
        estimate = bootstrap_interval(column, resamples=config.bootstrap, seed=config.seed)
        summary[name] = {
            "value": _number(estimate.value),
            "low": _number(estimate.low),
            "high": _number(estimate.high),
            "n": estimate.n,
            "label": info.label,
            "definition": info.definition,
            "higher_is_better": info.higher_is_better,
        }
    return summary


def _number(value: float) -> float | None:
    """Return a number that JSON can hold; None where it is undefined."""
    return float(value) if np.isfinite(value) else None
