"""`perturb`: semantic-preserved adversarial samples, in which only the background moves."""

from __future__ import annotations

from pathlib import Path

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.store import read_manifest
from ectool.config import PerturbConfig
from ectool.config.perturb import ATTACK_OPTIONS
from ectool.datasets.base import Dataset
from ectool.stages.common.found_models import ModelReference, find_model, method_key
from ectool.stages.common.inputs import artifact_parent, data_source, open_data
from ectool.stages.common.layout import NO_GRADIENT, RESCALED, UNMOVED
from ectool.stages.common.same_images import check_same_images
from ectool.stages.common.shards import is_done, map_shards
from ectool.stages.perturb.joint import Pair
from ectool.types import SILENT, Reporter


def run(config: PerturbConfig, reporter: Reporter = SILENT) -> Path:
    """Perturb a split of a data set and write the samples artifact.

    Cost per sample: 1 forward for logits and heatmap (more with costlier methods), what the attack
    costs (docs/method.md; PGD: `steps` forward and input-gradient passes), 1 forward for the
    logits of the result. With `heatmaps` these two also serve the explanation of both images.

    Raises:
        InputError: Model, data or earlier samples are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    return perturb(config, open_data(config, config.split), reporter)


def perturb(config: PerturbConfig, dataset: Dataset, reporter: Reporter) -> Path:
    """Perturb images that have been opened, as the options tell."""
    reference = find_model(config)
    initial = Artifact(config.init, "samples") if config.init else None
    recipe = describe(config, reference, dataset, initial)
    pair = None
    if config.heatmaps is not None:
        pair = Pair(config, config.heatmaps, reference, dataset, recipe)
    if not is_done(config.output, config, recipe, reporter):
        if pair is not None and pair.is_open():
            pair.compute(initial, reporter)
            _warn(config.output, reporter)
            return config.output
        _compute(config, reference, dataset, initial, recipe, reporter)
        _warn(config.output, reporter)
    if pair is not None:
        pair.complete(reporter)
    return config.output


def _warn(output: Path, reporter: Reporter) -> None:
    """Tell of samples that did not move, or whose network showed no way."""
    manifest = read_manifest(output)
    if manifest is None:
        return
    found, count = manifest.all_findings(), manifest.length
    if unmoved := found.get(UNMOVED):
        reporter.note(
            f"{output}: {unmoved} of {count} samples did not move: the steps are finer than the "
            "grid of uint8; give a greater --eps, --alpha or --steps"
        )
    if stuck := found.get(NO_GRADIENT):
        reporter.note(
            f"{output}: {stuck} of {count} samples had no gradient to follow: the model rounds, "
            "or is saturated, and what it withstands here says nothing"
        )


def _loss_key(config: PerturbConfig) -> dict[str, str]:
    """Return the loss behind `auto`, which was another one in earlier versions."""
    heard = ATTACK_OPTIONS[config.attack]
    is_rescaled = config.attack == "explanation" or ("loss" in heard and config.loss == "auto")
    return {"auto_loss": RESCALED} if is_rescaled else {}


def describe(
    config: PerturbConfig,
    reference: ModelReference,
    dataset: Dataset,
    initial: Artifact | None = None,
) -> Recipe:
    """Return what determines a samples artifact.

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


def _compute(
    config: PerturbConfig,
    reference: ModelReference,
    dataset: Dataset,
    initial: Artifact | None,
    recipe: Recipe,
    reporter: Reporter,
) -> None:
    from ectool.stages.common.loaded import loaded_model, pick_device
    from ectool.stages.perturb.work import PerturbWork

    device = pick_device(config)
    with loaded_model(reference, config, device, dataset, config.data, reporter) as model:
        work = PerturbWork(config, model, dataset, initial)
        attributes = {"classes": list(dataset.classes)}
        length = len(dataset.sample_ids)
        map_shards(work, config, recipe, length, reporter, attributes)
