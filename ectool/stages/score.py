"""`score`: explanation consistency of pairs of heatmaps, and sample weights derived from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import growing
from ectool.artifacts.schema import Arrays
from ectool.config import ScoreConfig
from ectool.datasets.labels import NO_TARGET
from ectool.errors import InputError
from ectool.scores.multilabel import (
    LABEL_STABILITIES,
    average_over_labels,
    label_similarity,
)
from ectool.scores.similarity import SIMILARITIES
from ectool.scores.stability import OF_BOTH, STABILITIES
from ectool.scores.summary import is_misclassified
from ectool.scores.weights import Weights, explanation_consistency, sample_weights
from ectool.stages.common import spread
from ectool.stages.common.inputs import artifact_parent
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.same_images import SELECTION, VIEW, check_same_images
from ectool.stages.common.shards import is_done, warn_lost
from ectool.stages.common.weighting import joined_weights, needs_scaling, scaled
from ectool.types import SILENT, Outcome, Reporter

Scores = Float32[np.ndarray, "n"] | Float32[np.ndarray, "n k"]
Pair = tuple[np.ndarray, np.ndarray]
COLUMNS = ("clean", "adversarial", "logits_adversarial", "label", "target")
"""Arrays that are read: maps, logits, labels."""


@dataclass(frozen=True)
class Consistency:
    """Scores of every sample of a heatmaps artifact.

    Attributes:
        similarity: Heatmap similarity of each sample, or of each explained label.
        stability: Prediction stability, in the same shape.
        explanation_consistency: Their product for each sample, averaged over its explained labels.
        misclassified: Number of samples that are misclassified after the attack.
    """

    similarity: Scores
    stability: Scores
    explanation_consistency: Float32[np.ndarray, "n"]
    misclassified: int

    @property
    def arrays(self) -> Arrays:
        """Return the scores as arrays of the weights artifact."""
        return {
            "similarity": self.similarity,
            "stability": self.stability,
            "explanation_consistency": self.explanation_consistency,
        }


def run(config: ScoreConfig, reporter: Reporter = SILENT) -> Outcome:
    """Score a heatmaps artifact and write the weights artifact.

    Its findings are mean and spread of similarity, stability, their product E, and the weights.

    Memory: one shard of heatmaps and a few numbers per sample.

    Raises:
        InputError: There are no adversarial heatmaps, or the previous weights lack a sample.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    output = weights_path(config)
    with Artifact(config.heatmaps, "heatmaps") as heatmaps:
        _check_pairs(heatmaps)
        previous = Artifact(config.previous, "weights") if config.previous else None
        recipe = describe(config, heatmaps, previous)
        if is_done(output, config, recipe, reporter):
            return outcome_of(output, is_new=False)
        sample_ids = heatmaps.sample_ids
        scores = measure(heatmaps, config, reporter)
        last = None if previous is None else _joined(previous, sample_ids, reporter)
        weights = sample_weights(
            scores.explanation_consistency,
            gamma=config.gamma,
            cap=config.cap,
            floor=config.floor,
            previous=last,
            momentum=config.momentum,
        )
        arrays = {
            "sample_id": heatmaps.read("sample_id"),
            **scores.arrays,
            "weight": weights.weight,
        }
        found = spread.findings(arrays, scores.misclassified)
        reporter.note(f"{output}: {spread.summary(found)} (mean ± standard deviation)")
        findings = _findings(weights) | found
        return _write(output, recipe, arrays, config.shard_size, findings, reporter)


def describe(config: ScoreConfig, heatmaps: Artifact, previous: Artifact | None = None) -> Recipe:
    """Return the recipe of a weights artifact.

    Raises:
        InputError: The previous weights are of other images.
    """
    output = weights_path(config)
    source = heatmaps.manifest.recipe.source if heatmaps.manifest else None
    parents = [artifact_parent("heatmaps", heatmaps, output)]
    if previous is not None:
        check_same_images(previous, source, f"--previous {previous.path}", SELECTION | VIEW)
        parents.append(artifact_parent("previous", previous, output))
    return Recipe(
        kind="weights",
        stage="score",
        config=config.keyed(),
        parents=tuple(parents),
        source=source,
    )


def weights_path(config: ScoreConfig) -> Path:
    """Return the path of the weights: `output`, or next to the heatmaps in the same format."""
    return config.output or config.heatmaps.with_name("weights" + config.heatmaps.suffix)


def measure(heatmaps: Artifact, config: ScoreConfig, reporter: Reporter) -> Consistency:
    """Score every pair of a heatmaps artifact, shard by shard."""
    parts = []
    with reporter.task("score", len(heatmaps)) as advance:
        for _, arrays in heatmaps.iterate(_columns(config)):
            parts.append(measure_pairs(config, arrays))
            advance(len(arrays["label"]))
    return joined(parts)


def _columns(config: ScoreConfig) -> list[str]:
    """Return the arrays that are read; clean logits, most of the bytes, only where they count."""
    return [*COLUMNS, *(["logits_clean"] if config.stability in OF_BOTH else [])]


def measure_pairs(config: ScoreConfig, arrays: Arrays) -> Consistency:
    """Score the pairs of some rows of a heatmaps artifact.

    Raises:
        InputError: An explained class has no logit.
    """
    adversarial = arrays["logits_adversarial"]
    maps, labels = (arrays["clean"], arrays["adversarial"]), (arrays["label"], arrays["target"])
    logits = arrays.get("logits_clean", adversarial), adversarial
    similar, stable = _score(config, maps, logits, labels)
    consistency = explanation_consistency(similar, stable)
    if consistency.ndim == 2:
        consistency = average_over_labels(consistency)
    misclassified = int(is_misclassified(logits[1], labels[0]).sum())
    return Consistency(similar, stable, consistency, misclassified)


def joined(parts: Sequence[Consistency]) -> Consistency:
    """Return the scores of consecutive rows as those of all of them."""
    return Consistency(
        np.concatenate([part.similarity for part in parts]),
        np.concatenate([part.stability for part in parts]),
        np.concatenate([part.explanation_consistency for part in parts]),
        sum(part.misclassified for part in parts),
    )


def _score(config: ScoreConfig, maps: Pair, logits: Pair, labels: Pair) -> tuple[Scores, Scores]:
    """Return similarity and stability of each sample, or of each of its explained labels.

    Args:
        config: Names of similarity and stability.
        maps: Clean and adversarial heatmaps.
        logits: Clean and adversarial logits.
        labels: True labels, and the classes that are explained.
    """
    similarity = SIMILARITIES[config.similarity]
    label, target = (
        rows.astype(np.int64) for rows in labels
    )  # other programs may write other integer types
    _check_classes(target, logits[0].shape[1])
    if target.ndim == 1:
        return similarity(*maps), STABILITIES[config.stability](*logits, label)
    stability = LABEL_STABILITIES[config.stability](*logits, target)
    return label_similarity(similarity, *maps, target), stability


def _check_classes(target: Int64[np.ndarray, "n *k"], count: int) -> None:
    """Check that every explained class has a logit; -1 stands for no class."""
    outside = (target < NO_TARGET) | (target >= count)
    if outside.any():
        raise InputError(
            "target",
            expected=f"classes 0 to {count - 1}, as there are logits",
            got=str(target[outside][0]),
            fix="explain classes that have logits",
        )


def _check_pairs(heatmaps: Artifact) -> None:
    for name in ("adversarial", "logits_adversarial"):
        if name not in heatmaps.arrays:
            raise InputError(
                f"{heatmaps.path}: {name}",
                expected="heatmaps of clean and perturbed images",
                got="clean ones only",
                fix="make them with `ectool explain --samples`",
            )
    if len(heatmaps) == 0:
        raise InputError(
            str(heatmaps.path), expected="at least one sample", got="none", fix="explain some data"
        )


def _joined(previous: Artifact, sample_ids: list[str], reporter: Reporter) -> Scores:
    """Return the weights of the last round in the order of the samples, scaled to mean 1."""
    where, fix = f"--previous {previous.path}", "give the weights of the same training samples"
    values = joined_weights(previous, sample_ids, where, fix)
    if needs_scaling(values):
        reporter.note(f"{previous.path}: mean {values.mean():.3g}; scaled to mean 1")
    return scaled(values).astype(np.float32)


def _findings(weights: Weights) -> dict[str, float]:
    return {
        "effective_sample_size": round(float(weights.effective_sample_size), 3),
        "capped_weights": weights.capped,
        "flattened": round(float(weights.flattened), 6),
        "undefined_similarity": weights.undefined,
    }


def _write(
    output: Path,
    recipe: Recipe,
    arrays: Arrays,
    shard_size: int,
    findings: dict[str, float],
    reporter: Reporter,
) -> Outcome:
    """Write all scores, shard by shard."""
    length = len(arrays["sample_id"])
    with growing(output, recipe, length=length, shard_size=shard_size) as partial:
        warn_lost(partial, reporter)
        for number in partial.missing():
            start, stop = partial.ranges[number]
            rows = {name: values[start:stop] for name, values in arrays.items()}
            partial.write(number, rows, {})
        return outcome_of(partial.publish(findings), is_new=True)
