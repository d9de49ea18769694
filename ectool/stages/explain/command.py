"""`explain`: heatmaps of a whole data set, or of both images of every perturbed pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.opening import Job
from ectool.artifacts.manifest import Parent, Recipe
from ectool.config import DataOptions, ExplainConfig
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.stages.common.found_models import ModelReference, find_model, method_key
from ectool.stages.common.inputs import artifact_parent, data_source, open_data, source_options
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.common.loop.sharing import finished_part
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.same_images import check_same_images
from ectool.stages.common.shards import is_done, map_shards
from ectool.stages.explain.precision import settled
from ectool.types import SILENT, Outcome, Reporter

if TYPE_CHECKING:  # importing torch takes seconds
    from ectool.stages.explain.agreement import Choice


@dataclass(frozen=True)
class ExplainInputs:
    """Inputs of the heatmaps.

    Attributes:
        reference: The model.
        options: Options of the data set.
        split: Split of the data set.
        dataset: The clean images.
    """

    reference: ModelReference
    options: DataOptions
    split: str
    dataset: Dataset


def run(config: ExplainConfig, reporter: Reporter = SILENT) -> Outcome:
    """Explain a split of a data set and write the heatmaps artifact.

    Cost per image: that of the method (docs/explainers.md); for Grad-CAM, 1 forward pass, and 1
    backward pass of the head unless the head is a pooled linear one.

    Raises:
        InputError: Model, data or samples are missing or do not fit each other, or the samples
            were made from other images.
        UsageError: The method does not have an option.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    reference = find_model(config)
    samples = Artifact(config.samples, "samples") if config.samples else None
    options, split = find_data(config, samples)
    inputs = ExplainInputs(reference, options, split, open_data(options, split))
    if samples is not None:
        source = data_source(options, split, inputs.dataset)
        check_same_images(samples, source, f"--samples {samples.path}")
    return explain(config, inputs, samples, reporter)


def explain(
    config: ExplainConfig, inputs: ExplainInputs, samples: Artifact | None, reporter: Reporter
) -> Outcome:
    """Explain the images of an open data set, and the perturbed ones of samples made from them."""
    parent = artifact_parent("samples", samples, config.output) if samples else None
    config = with_precision(config, inputs, samples, parent, reporter)
    recipe = describe(config, inputs, parent)
    if is_done(config.output, config, recipe, reporter):
        return outcome_of(config.output, is_new=False)
    length = len(inputs.dataset.sample_ids if samples is None else samples)
    job = Job(recipe=recipe, length=length, shard_size=config.shard_size)
    if of_part := finished_part(config, (config.output, job)):
        return of_part
    return _compute(config, inputs, samples, recipe, reporter)


def describe(config: ExplainConfig, inputs: ExplainInputs, samples: Parent | None) -> Recipe:
    """Return the recipe of a heatmaps artifact."""
    parents = inputs.reference.parents(config.output)
    if samples is not None:
        parents.append(samples)
    return Recipe(
        kind="heatmaps",
        stage="explain",
        config={
            **config.keyed(),
            **inputs.options.keyed(),
            "split": inputs.split,
            **method_key(config.method),
        },
        parents=tuple(parents),
        source=data_source(inputs.options, inputs.split, inputs.dataset),
    )


def find_data(config: ExplainConfig, samples: Artifact | None) -> tuple[DataOptions, str]:
    """Return the data and split to explain: those of the options, else those of the samples.

    Raises:
        InputError: Neither the options nor the samples name the data.
    """
    source = samples.manifest.recipe.source if samples and samples.manifest else None
    if source is None and config.data is None:
        raise InputError(
            "--data",
            expected="the data set of the clean images",
            got="none, and no samples that name it",
            fix="give --data (and --split)",
        )
    known = DataOptions()
    if source is not None:
        known = source_options(source)
    split = config.split or (source.split if source else "train")
    return config.data_options(known), split


def with_precision(
    config: ExplainConfig,
    inputs: ExplainInputs,
    samples: Artifact | None,
    parent: Parent | None,
    reporter: Reporter = SILENT,
) -> ExplainConfig:
    """Return the options with fp32 or bf16 in place of `--precision auto`."""
    return settled(
        config,
        lambda some: describe(some, inputs, parent),
        lambda: _choose(config, inputs, samples),
        reporter,
    )


def _choose(config: ExplainConfig, inputs: ExplainInputs, samples: Artifact | None) -> Choice:
    """Choose the precision that `auto` stands for."""
    from ectool.stages.common.loaded import loaded_model, pick_device
    from ectool.stages.explain.agreement import choose
    from ectool.stages.explain.work import ExplainWork

    config, device = config.model_copy(update={"precision": "fp32"}), pick_device(config)
    data = inputs.options.data
    with loaded_model(inputs.reference, config, device, inputs.dataset, data) as model:
        ExplainWork(config, model, inputs.dataset, samples)  # checks its inputs
        return choose(config, model, inputs.dataset, "heatmaps")


def _compute(
    config: ExplainConfig,
    inputs: ExplainInputs,
    samples: Artifact | None,
    recipe: Recipe,
    reporter: Reporter,
) -> Outcome:
    from ectool.stages.common.loaded import loaded_model, pick_device
    from ectool.stages.explain.work import ExplainWork

    device, data = pick_device(config), inputs.options.data
    config = sized(config, inputs.dataset.size)
    with loaded_model(inputs.reference, config, device, inputs.dataset, data, reporter) as model:
        work = ExplainWork(config, model, inputs.dataset, samples)
        return map_shards(work, config, recipe, len(work.ids), reporter)
