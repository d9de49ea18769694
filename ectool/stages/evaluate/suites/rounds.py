"""The round of perturb, explain and score behind metrics of heatmaps and consistency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ectool.artifacts.artifact import Artifact
from ectool.config import (
    DataOptions,
    DeviceOptions,
    EvaluateConfig,
    ExplainConfig,
    HeatmapOptions,
    ModelOptions,
    PerturbConfig,
    ScoreConfig,
)
from ectool.config.measure import ATTACK, SIMILARITY, STABILITY
from ectool.options import Options
from ectool.stages import score
from ectool.stages.common.inputs import artifact_parent
from ectool.stages.common.layout import HEATMAPS, SAMPLES, WEIGHTS
from ectool.stages.evaluate.growth import keep_or_set_aside
from ectool.stages.evaluate.suites.parts import Part, Subject
from ectool.stages.explain import command as explain
from ectool.stages.perturb import command as perturb
from ectool.types import Outcome


def stage_options(config: EvaluateConfig) -> dict[str, Any]:
    """Return the options of heatmaps, as those of the evaluation."""
    return _options(config, ModelOptions, DeviceOptions, DataOptions, HeatmapOptions)


def _options(config: EvaluateConfig, *groups: type[Options]) -> dict[str, Any]:
    """Return the options of some groups, and those of shards."""
    names = {name for group in groups for name in group.model_fields}
    return config.model_dump(include={*names, "batch_size", "shard_size", "force", "resume"})


def _perturb(subject: Subject, path: Path) -> Outcome:
    """Perturb the split; the mask of the measure does not depend on the evaluated heatmaps."""
    config = subject.config
    shared = _options(config, ModelOptions, DeviceOptions, DataOptions)
    del shared["layer"]
    perturbing = PerturbConfig(
        **shared, **ATTACK, split=config.split, seed=config.seed, output=path
    )
    recipe = perturb.describe(perturbing, subject.reference, subject.original)
    subject.group.from_first(lambda: keep_or_set_aside(subject, path, recipe, config.shard_size))
    return perturb.perturb(perturbing, subject.original, subject.reporter, subject.reference)


def _explain(subject: Subject, path: Path) -> Outcome:
    """Explain both images of every pair."""
    config = subject.config
    samples = Artifact(subject.path(SAMPLES), "samples")
    explaining = ExplainConfig(
        **stage_options(config), split=config.split, samples=samples.path, output=path
    )
    data = DataOptions(**config.model_dump(include=set(DataOptions.model_fields)))
    inputs = explain.ExplainInputs(subject.reference, data, config.split, subject.original)
    recipe = explain.describe(explaining, inputs, artifact_parent("samples", samples, path))
    subject.group.from_first(lambda: keep_or_set_aside(subject, path, recipe, config.shard_size))
    return explain.explain(explaining, inputs, samples, subject.reporter)


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
    return (
        Part(SAMPLES, "samples", _perturb, "perturbed samples", is_shared=True),
        Part(HEATMAPS, "heatmaps", _explain, "heatmaps", is_shared=True),
    )


def consistency_parts(subject: Subject) -> tuple[Part, ...]:
    """Return the parts of `heatmap_parts`, and the explanation consistency of every pair."""
    heatmaps = heatmap_parts(subject)
    scored = Part(WEIGHTS, "weights", _score, "explanation consistency")
    return (*heatmaps, scored) if heatmaps else ()
