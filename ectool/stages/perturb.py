"""`perturb`: semantic-preserved adversarial samples, in which only the background moves."""

from __future__ import annotations

from pathlib import Path

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Recipe
from ectool.config import PerturbConfig
from ectool.datasets.base import Dataset
from ectool.stages.inputs import (
    ModelReference,
    artifact_parent,
    data_source,
    find_model,
    method_key,
    open_data,
)
from ectool.stages.one_pass import Pair
from ectool.stages.same_images import check_same_images
from ectool.stages.shards import is_done, map_shards
from ectool.types import SILENT, Reporter


def run(config: PerturbConfig, reporter: Reporter = SILENT) -> Path:
    """Perturb a split of a data set and write the samples artifact.

    Cost per sample: 1 forward for logits and heatmap (more with costlier methods), what the attack
    costs (docs/method.md; PGD: `steps` forward and input-gradient passes), 1 forward for the
    logits of the result. With `heatmaps` these two also serve the explanation of both pictures.

    Raises:
        InputError: Model, data or earlier samples are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    return perturb(config, open_data(config, config.split), reporter)


def perturb(config: PerturbConfig, dataset: Dataset, reporter: Reporter) -> Path:
    """Perturb pictures that have been opened, as the options tell."""
    reference = find_model(config)
    initial = Artifact(config.init, "samples") if config.init else None
    source = data_source(config, config.split, dataset)
    parents = [reference.parent(config.output)]
    if initial is not None:
        check_same_images(initial, source, f"--init {initial.path}")
        parents.append(artifact_parent("init", initial, config.output))
    recipe = Recipe(
        kind="samples",
        stage="perturb",
        config={**config.keyed(), **method_key(config.method)},
        parents=tuple(parents),
        source=source,
    )
    pair = None
    if config.heatmaps is not None:
        pair = Pair(config, config.heatmaps, reference, dataset, recipe)
    if not is_done(config.output, config, recipe, reporter):
        if pair is not None and pair.is_open():
            pair.compute(initial, reporter)
            return config.output
        _compute(config, reference, dataset, initial, recipe, reporter)
    if pair is not None:
        pair.complete(reporter)
    return config.output


def _compute(
    config: PerturbConfig,
    reference: ModelReference,
    dataset: Dataset,
    initial: Artifact | None,
    recipe: Recipe,
    reporter: Reporter,
) -> None:
    from ectool.stages.networks import asked, pick_device
    from ectool.stages.perturb_work import PerturbWork

    with asked(reference, config, pick_device(config), dataset, config.data) as model:
        work = PerturbWork(config, model, dataset, initial)
        attributes = {"classes": list(dataset.classes)}
        length = len(dataset.sample_ids)
        map_shards(work, config, recipe, length, reporter, attributes)
