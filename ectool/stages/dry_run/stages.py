"""Plans of `perturb`, `explain` and `train`."""

from __future__ import annotations

from typing import Any

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.store import read_manifest
from ectool.config import ExplainConfig, PerturbConfig, TrainConfig
from ectool.stages import explain, perturb, train
from ectool.stages.common.found_models import find_model
from ectool.stages.common.inputs import artifact_parent, open_data
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.dry_run.plan import DONE, REPLACED, START, Step, batches_of, document, state_of
from ectool.stages.dry_run.sample import Sample, scratch
from ectool.stages.dry_run.stopwatch import Stopwatch
from ectool.stages.explain import command as explaining
from ectool.stages.perturb import command as perturbing
from ectool.stages.perturb.attacker import WARM_STEPS
from ectool.stages.perturb.radius import SAMPLES
from ectool.stages.train import command as training
from ectool.types import SILENT

RADII, TIMED_EPS = 6, 8 / 255
"""Radii that `--eps auto` tries, about; and the radius that its attack is timed with."""
EPOCHS = 2
"""Epochs of a timed training; the second one counts."""
FORWARD = 1 / 3
"""Share of the forward pass in a step of training."""


def plan_perturb(config: PerturbConfig) -> dict[str, Any]:
    """Return the plan of `perturb`."""
    dataset = open_data(config, config.split)
    config = sized(config, dataset.size)
    initial = Artifact(config.init, "samples") if config.init else None
    reference = find_model(config)
    config = perturbing.with_precision(config, reference, dataset, initial)
    recipe = perturbing.describe(config, reference, dataset, initial)
    length = len(dataset.sample_ids)
    state, left = state_of(config.output, recipe, length, config.shard_size)
    sample, watch = Sample.of(dataset, config.batch), Stopwatch()
    per_item = 0.0
    if left:
        with scratch() as place:
            changed: dict[str, Any] = {"init": None, "output": place / "adv.zarr"}
            changed["heatmaps"] = config.heatmaps and place / "cams.zarr"
            if config.init is not None and config.steps is None:
                changed["steps"] = WARM_STEPS
            if config.eps == "auto":
                changed["eps"] = TIMED_EPS
            perturb.run(config.model_copy(update={**sample.options, **changed}), watch)
            per_item = watch.tasks[-1].per_item
    batches = batches_of(left, config.batch)
    steps = [Step("samples", config.output, state, left, batches, left * per_item)]
    if config.eps == "auto" and left:
        count = min(SAMPLES, length)
        number = batches_of(count, config.batch) * RADII
        steps.append(Step("radius", config.output, state, count, number, RADII * count * per_item))
    return document(config.output, [*steps, *_start(steps[0], watch)])


def _start(step: Step, watch: Stopwatch) -> list[Step]:
    """Return the part for imports and loading, if anything has to be computed."""
    if step.state == DONE:
        return []
    return [Step(START, step.output, step.state, 0, 0, watch.rest())]


def plan_explain(config: ExplainConfig) -> dict[str, Any]:
    """Return the plan of `explain`; pairs are timed by their clean images."""
    samples = Artifact(config.samples, "samples") if config.samples else None
    options, split = explaining.find_data(config, samples)
    dataset = open_data(options, split)
    inputs = explaining.ExplainInputs(find_model(config), options, split, dataset)
    parent = artifact_parent("samples", samples, config.output) if samples else None
    length = len(dataset.sample_ids if samples is None else samples.sample_ids)
    config = explaining.with_precision(config, inputs, samples, parent)
    recipe = explaining.describe(config, inputs, parent)
    state, left = state_of(config.output, recipe, length, config.shard_size)
    config = sized(config, dataset.size)
    sample, watch = Sample.of(dataset, config.batch), Stopwatch()
    per_item, images = 0.0, 1 if samples is None else 2
    if left:
        with scratch() as place:
            given = {**options.model_dump(), **sample.options, "split": split, "samples": None}
            changed = config.model_copy(update={**given, "output": place / "cams.zarr"})
            explain.run(changed.model_copy(), watch)
            per_item = images * watch.tasks[-1].per_item
    batches = batches_of(left, config.batch)
    step = Step("heatmaps", config.output, state, left, batches, left * per_item)
    return document(config.output, [step, *_start(step, watch)])


def plan_train(config: TrainConfig) -> dict[str, Any]:
    """Return the plan of `train`; it is timed from the start and without weights."""
    config, inputs, recipe = training.prepared(config, SILENT)
    start, until = training.start_of(inputs.resumed), config.until_epoch or config.epochs
    epochs, length = until - start, len(inputs.dataset.sample_ids)
    state = "new"
    if config.output.exists():
        manifest = read_manifest(config.output)
        state = DONE if manifest is not None and manifest.key == recipe.key else REPLACED
    left = 0 if state == DONE else epochs * length
    watch, seconds = Stopwatch(), 0.0
    if left:
        sample = Sample.of(inputs.dataset, config.batch_size)
        validation = sum(len(data.sample_ids) for data in inputs.validation.values())
        seconds = epochs * time_epoch(config, sample, watch, length, validation)
    batches = epochs * batches_of(length, config.batch_size) if left else 0
    step = Step(f"{epochs} epochs", config.output, state, left, batches, seconds)
    return document(config.output, [step, *_start(step, watch)])


def time_epoch(
    config: TrainConfig, sample: Sample, watch: Stopwatch, length: int, validation: int
) -> float:
    """Return the seconds of an epoch: its images, its validation, and its checkpoint."""
    changed = {
        **{"epochs": EPOCHS, "until_epoch": None, "resume": None, "log": ()},
        **{"weights": None, "samples": None, "mix": 0.0},
    }
    with scratch() as place:
        given = {**sample.options, **changed, "output": place / "model"}
        train.run(config.model_copy(update=given), watch)
    (task,) = [one for one in watch.tasks if one.name == "train"]
    per_item, between = task.of_last(sample.limit)
    unseen = max(0, validation - sample.limit)
    return per_item * length + between + FORWARD * per_item * unseen
