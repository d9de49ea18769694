"""The round of perturb, explain and score behind metrics of heatmaps and consistency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ectool.artifacts.artifact import Artifact
from ectool.config import (
    DataOptions,
    DeviceOptions,
    EvaluateConfig,
    HeatmapOptions,
    ModelOptions,
    PerturbConfig,
    ScoreConfig,
)
from ectool.config.measure import ATTACK, SIMILARITY, STABILITY
from ectool.stages import score
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS
from ectool.stages.evaluate.growth import keep_or_set_aside, set_aside
from ectool.stages.evaluate.suites.parts import Part, Subject
from ectool.stages.perturb import command as perturb
from ectool.stages.perturb.joint import JointPass
from ectool.types import Outcome


def stage_options(config: EvaluateConfig) -> dict[str, Any]:
    """Return the options of heatmaps, as those of the evaluation."""
    groups = (ModelOptions, DeviceOptions, DataOptions, HeatmapOptions)
    names = {name for group in groups for name in group.model_fields}
    return config.model_dump(include={*names, "batch_size", "shard_size", "force", "resume"})


def _perturb(subject: Subject, path: Path) -> Outcome:
    """Perturb the split, and explain both images of every pair in the same pass."""
    config = subject.config
    perturbing = PerturbConfig(
        **stage_options(config),
        **ATTACK,
        split=config.split,
        seed=config.seed,
        output=path,
        heatmaps=subject.path(HEATMAPS),
    )
    _set_aside_others(subject, perturbing)
    return perturb.perturb(perturbing, subject.original, subject.reporter)


def _set_aside_others(subject: Subject, config: PerturbConfig) -> None:
    """Move samples and heatmaps of other options aside, always both."""
    heatmaps, dataset = subject.path(HEATMAPS), subject.original
    recipe = perturb.describe(config, subject.reference, dataset)
    keep_or_set_aside(subject, config.output, recipe, config.shard_size)
    if not config.output.exists():
        set_aside(subject, heatmaps)
        return
    joint = JointPass(config, heatmaps, subject.reference, dataset, recipe)
    keep_or_set_aside(subject, heatmaps, joint.final(), config.shard_size)


def _explained(subject: Subject, path: Path) -> Outcome:  # noqa: ARG001 (protocol)
    """Return the heatmaps, which were made with the samples."""
    return Outcome(path, is_new=False)


def _score(subject: Subject, path: Path) -> Outcome:
    config = subject.config
    scoring = ScoreConfig(
        heatmaps=subject.path(HEATMAPS),
        output=path,
        force=config.force,
        resume=config.resume,
        similarity=SIMILARITY,
        stability=STABILITY,
    )
    with Artifact(scoring.heatmaps, "heatmaps") as heatmaps:
        recipe = score.describe(scoring, heatmaps)
    keep_or_set_aside(subject, path, recipe, scoring.shard_size)
    return score.run(scoring, subject.reporter)


def heatmap_parts(subject: Subject) -> tuple[Part, ...]:
    """Return the parts with perturbed samples and heatmaps; none for a model without layers."""
    if subject.reference.is_program:
        return ()
    return Part(SAMPLES, "samples", _perturb), Part(HEATMAPS, "heatmaps", _explained)


def consistency_parts(subject: Subject) -> tuple[Part, ...]:
    """Return the parts of `heatmap_parts`, and the explanation consistency of every pair."""
    heatmaps = heatmap_parts(subject)
    return (*heatmaps, Part(WEIGHTS, "weights", _score)) if heatmaps else ()
