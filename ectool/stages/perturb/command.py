"""`perturb`: semantic-preserved adversarial samples, in which only the background changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.jobs.opening import Job
from ectool.artifacts.manifest import Recipe
from ectool.config import PerturbConfig
from ectool.config.perturb import ATTACK_OPTIONS
from ectool.datasets.base import Dataset
from ectool.datasets.labels import check_labelled
from ectool.datasets.perturbed_images import sample_attributes
from ectool.stages.common.found_models import ModelReference, find_model, method_key
from ectool.stages.common.inputs import artifact_parent, data_source, open_data
from ectool.stages.common.layout import RESCALED
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.common.loop.sharing import finished_part, shared
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.same_images import check_same_images
from ectool.stages.common.shards import is_done, map_into
from ectool.stages.explain.precision import settled
from ectool.stages.perturb.joint import JointPass
from ectool.types import SILENT, Outcome, Reporter, merged

if TYPE_CHECKING:  # importing torch takes seconds
    from ectool.stages.explain.agreement import Choice


def run(config: PerturbConfig, reporter: Reporter = SILENT) -> Outcome:
    """Perturb a split of a data set and write the samples artifact.

    Cost per sample: 1 forward pass for logits and heatmap (more for some methods), the attack
    (docs/method.md; PGD: `steps` forward and input-gradient passes), and 1 forward pass for the
    logits of the result. `--eps auto` adds the attack on at most 256 samples with each of about 4
    to 7 radii. With `heatmaps`, the first and the last pass also explain both images.

    Raises:
        InputError: Model, data or earlier samples are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    return perturb(config, open_data(config, config.split), reporter)


def perturb(
    config: PerturbConfig,
    dataset: Dataset,
    reporter: Reporter,
    reference: ModelReference | None = None,
) -> Outcome:
    """Perturb the images of an open data set; by default with the model that the options name."""
    reference = reference or find_model(config)
    initial = Artifact(config.init, "samples") if config.init else None
    config = with_precision(config, reference, dataset, initial, reporter)
    recipe = describe(config, reference, dataset, initial)
    joint = None
    if config.heatmaps is not None:
        joint = JointPass(config, config.heatmaps, reference, dataset, recipe)
    if is_done(config.output, config, recipe, reporter):
        samples = outcome_of(config.output, is_new=False)
    elif of_part := finished_part(config, *_jobs(config, recipe, dataset, joint)):
        return of_part
    else:
        if joint is not None and joint.is_open():
            return joint.compute(initial, reporter)
        samples = _compute(config, reference, dataset, initial, recipe, reporter)
    return samples if joint is None else merged(samples.path, (samples, joint.complete(reporter)))


def _jobs(
    config: PerturbConfig, recipe: Recipe, dataset: Dataset, joint: JointPass | None
) -> Iterator[tuple[Path, Job]]:
    """Return what an array of jobs writes, with its outputs."""
    if joint is not None:
        return zip((config.output, joint.explain.output), joint.jobs, strict=True)
    length, attributes = len(dataset.sample_ids), sample_attributes(dataset, config.store)
    size = config.shard_size
    job = Job(recipe=recipe, length=length, shard_size=size, attributes=attributes)
    return iter([(config.output, job)])


def _loss_key(config: PerturbConfig) -> dict[str, str]:
    """Return the loss that `auto` means; it was another one in earlier versions."""
    options = ATTACK_OPTIONS[config.attack]
    is_rescaled = config.attack == "explanation" or ("loss" in options and config.loss == "auto")
    return {"auto_loss": RESCALED} if is_rescaled else {}


def describe(
    config: PerturbConfig,
    reference: ModelReference,
    dataset: Dataset,
    initial: Artifact | None = None,
) -> Recipe:
    """Return the recipe of a samples artifact.

    Raises:
        InputError: The samples to start from were made of other images.
    """
    source = data_source(config, config.split, dataset)
    parents = reference.parents(config.output)
    if initial is not None:
        check_same_images(initial, source, f"--init {initial.path}")
        parents.append(artifact_parent("init", initial, config.output))
    return Recipe(
        kind="samples",
        stage="perturb",
        config={**config.keyed(), **method_key(config.method), **_loss_key(config)},
        parents=tuple(parents),
        source=source,
    )


def with_precision(
    config: PerturbConfig,
    reference: ModelReference,
    dataset: Dataset,
    initial: Artifact | None = None,
    reporter: Reporter = SILENT,
) -> PerturbConfig:
    """Return the options with fp32 or bf16 in place of `--precision auto`."""
    return settled(
        config,
        lambda some: describe(some, reference, dataset, initial),
        lambda: _choose(config, reference, dataset),
        reporter,
    )


def _choose(config: PerturbConfig, reference: ModelReference, dataset: Dataset) -> Choice:
    """Choose the precision that `auto` stands for."""
    from ectool.attacks import ATTACKS
    from ectool.stages.common.loaded import loaded_model, pick_device
    from ectool.stages.explain.agreement import Choice, choose

    check_labelled(dataset, "perturb a labelled split")
    if ATTACKS[config.attack].maximizes is None:
        return Choice("fp32", "the attack computes no gradients")
    device = pick_device(config)
    with loaded_model(reference, config, device, dataset, config.data) as model:
        return choose(config, model, dataset, "attack")


def _compute(
    config: PerturbConfig,
    reference: ModelReference,
    dataset: Dataset,
    initial: Artifact | None,
    recipe: Recipe,
    reporter: Reporter,
) -> Outcome:
    from ectool.stages.common.loaded import loaded_model, pick_device
    from ectool.stages.perturb.radius import with_radius
    from ectool.stages.perturb.work import PerturbWork

    device, config = pick_device(config), sized(config, dataset.size)
    ((_, job),) = _jobs(config, recipe, dataset, None)
    with (
        loaded_model(reference, config, device, dataset, config.data, reporter) as model,
        shared(config) as share,
        share.opened(config.output, job) as partial,
    ):
        given = config
        config = share.group.from_first(
            lambda: with_radius(given, model, dataset, initial, partial, reporter)
        )
        work = PerturbWork(config, model, dataset, initial)
        return map_into(partial, work, config, reporter, share)
