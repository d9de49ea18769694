"""`train`: learn with sample weights, from the start or from the middle of a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Manifest, Recipe
from ectool.artifacts.partial import up_to_date
from ectool.artifacts.versions import record_machine
from ectool.config import TrainConfig
from ectool.datasets.base import Dataset
from ectool.datasets.fingerprint import fingerprints
from ectool.datasets.labels import check_labelled
from ectool.errors import InputError, UsageError
from ectool.models.names import program_file
from ectool.stages.common.code import imported_module
from ectool.stages.common.found_models import checkpoint_digest, code_parents
from ectool.stages.common.inputs import artifact_parent, data_source, open_data, parent_of
from ectool.stages.common.layout import SPEC_FILE
from ectool.stages.common.same_images import SELECTION, SHOWN, VIEW, check_same_images
from ectool.stages.common.shards import machine_of, tell_versions
from ectool.stages.common.weighting import joined_weights, needs_scaling, scaled
from ectool.stages.train.loggers import LoggedRun, check_installed, logging
from ectool.stages.train.same_classes import check_classes
from ectool.types import SILENT, UP_TO_DATE, Reporter

FREE = ("until_epoch", "mix")
"""Options that may change when a schedule is resumed."""
ORDER = "class_order"
CURVES = ("original", "mixed_rand")
"""Variants of the validation images that learning curves are drawn of, where they are there."""
VALIDATION_SPLIT = "validation"
SCALED = "weights_scaled"
"""Entry of a recipe's configuration where weights had another mean than 1."""
CURVES_KEY = "validation"
"""What the key holds of them: their fingerprints by variant; nothing where there are none."""
CUT = "batches"
"""Entry of a recipe's configuration that says how an epoch is cut, where that matters."""


def run(config: TrainConfig, reporter: Reporter = SILENT) -> Path:
    """Train until an epoch of the schedule and write the model artifact.

    A model resumed in the middle of its schedule continues to the very bytes that an unbroken
    run with the same weights would have written.

    Raises:
        UsageError: The schedule does not reach from the resumed epoch to `until_epoch`, or an
            option differs from the resumed model's.
        InputError: Data, weights or the resumed model are missing or do not fit each other.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    _check_network(config)
    resumed = folder.open_folder(config.resume, "model") if config.resume else None
    if resumed is not None:
        config = inherit(config, resumed)
    until, mix = config.until_epoch or config.epochs, config.mix if config.samples else 0.0
    config = config.model_copy(update={"until_epoch": until, "mix": mix})
    _check_schedule(config, resumed)
    dataset = open_data(config, config.split)
    check_labelled(dataset, "train on a labelled split")
    _check_data(config, dataset, resumed)
    weights = Artifact(config.weights, "weights") if config.weights else None
    samples = Artifact(config.samples, "samples") if config.samples else None
    _check_images(config, dataset, weights, samples)
    validation = validation_sets(config)
    _check_validation(config, validation, resumed)
    recipe = make_recipe(config, dataset, resumed, weights, samples, validation)
    values = None if weights is None else _weights(weights, dataset)
    if values is not None and needs_scaling(values):
        reporter.note(f"{config.weights}: mean {values.mean():.3g}; scaled to mean 1")
        recipe = recipe.model_copy(update={"config": {**recipe.config, SCALED: "mean 1"}})
    if up_to_date(config.output, recipe, force=config.force):
        reporter.note(f"{config.output}: {UP_TO_DATE}")
        return config.output
    check_installed(config.log)
    tell_versions(config.output, recipe, reporter)
    if resumed is not None and CUT in set(recipe.config) - set(resumed.recipe.config):
        reporter.note(
            f"{config.resume}: trained with a short last batch; from here on all are even"
        )

    from ectool.stages.common.loaded import pick_device
    from ectool.stages.train.feed import Feed, perturbed_images
    from ectool.stages.train.work import train

    device = pick_device(config)
    logged = LoggedRun(config.output, recipe.key, config.model_dump(mode="json"))
    with (
        folder.building(config.output, recipe) as partial,
        logging(config.log, logged, _start(resumed)) as log,
    ):
        shown = None if samples is None else perturbed_images(samples, dataset, partial.scratch)
        weighed = None if values is None else scaled(values).tolist()
        feed = Feed(dataset, config, weights=weighed, perturbed=shown, device=device)
        record_machine(partial.scratch, machine_of(config))
        if partial.other_versions:
            reporter.note(f"{config.output}: begun with {partial.other_versions}")
        train(config, feed, validation, partial, reporter, log)
        output = partial.publish()
        log.artifact = folder.open_folder(output, "model").id
        return output


def inherit(config: TrainConfig, resumed: Manifest) -> TrainConfig:
    """Fill what was not given from the resumed model; its schedule cannot change on the way.

    Raises:
        UsageError: An option was given that differs from the resumed model's.
    """
    recorded = resumed.recipe.config.items()
    fixed = {n: v for n, v in recorded if n in TrainConfig.model_fields and n not in FREE}
    before = TrainConfig.model_validate({**fixed, "output": config.output})
    if ORDER in config.model_fields_set:  # what counts is whether the classes come in that order
        fixed.pop(ORDER, None)
    for name in sorted(config.model_fields_set & set(fixed)):
        if getattr(config, name) != getattr(before, name):
            raise UsageError(
                "--" + name.replace("_", "-"),
                expected=f"{getattr(before, name)} as in {config.resume}",
                got=str(getattr(config, name)),
                fix="leave it out, or train from the start",
            )
    update = {name: getattr(before, name) for name in fixed}
    if resumed.recipe.source is not None and "data" not in config.model_fields_set:
        update["data"] = resumed.recipe.source.data
    return config.model_copy(update=update)


def _check_data(config: TrainConfig, dataset: Dataset, resumed: Manifest | None) -> None:
    """Check that a resumed model goes on with the images it has seen, wherever they lie now."""
    source = resumed.recipe.source if resumed else None
    if resumed is not None and config.resume is not None:
        folder.verify_file(config.resume / SPEC_FILE, resumed)
        check_classes(config.resume, dataset)
    if source is not None and source.fingerprint != dataset.fingerprint:
        raise InputError(
            f"--data {config.data}",
            expected=f"the images {config.resume} was trained on ({source.data}), "
            f"fingerprint {source.fingerprint[:SHOWN]}",
            got=f"others, fingerprint {dataset.fingerprint[:SHOWN]}",
            fix="restore them, or train from the start",
        )


def _curves_key(validation: Mapping[str, Dataset]) -> dict[str, dict[str, str]]:
    return {CURVES_KEY: fingerprints(validation)} if validation else {}


def _check_validation(
    config: TrainConfig, validation: Mapping[str, Dataset], resumed: Manifest | None
) -> None:
    """Check that learning curves go on with the validation images that they began with.

    Raises:
        InputError: These have changed.
    """
    before = resumed.recipe.config.get(CURVES_KEY, {}) if resumed else {}
    for variant, dataset in validation.items():
        if before.get(variant, dataset.fingerprint) != dataset.fingerprint:
            raise InputError(
                f"validation images of {config.data} ({variant})",
                expected=f"those of {config.resume}, fingerprint {before[variant][:SHOWN]}",
                got=f"others, fingerprint {dataset.fingerprint[:SHOWN]}",
                fix="restore them, or train from the start",
            )


def _check_images(
    config: TrainConfig, dataset: Dataset, weights: Artifact | None, samples: Artifact | None
) -> None:
    """Check that weights and samples are of the images that are learned from."""
    source = data_source(config, config.split, dataset)
    if weights is not None:
        check_same_images(weights, source, f"--weights {weights.path}", SELECTION | VIEW)
    if samples is not None:
        check_same_images(samples, source, f"--samples {samples.path}")


def _check_network(config: TrainConfig) -> None:
    """Check that the network can learn, and that what is said of a checkpoint has one."""
    if program_file(config.model) is not None:
        raise UsageError(
            f"--model {config.model}",
            expected="an architecture that can be trained",
            got="a program, whose weights are fixed",
            fix="give the architecture, and its weights as --checkpoint",
        )
    for name in ("reset_head", "entry"):
        if getattr(config, name) and config.checkpoint is None and config.resume is None:
            raise UsageError(
                "--" + name.replace("_", "-"),
                expected="a --checkpoint",
                got="none",
                fix="add it, or leave this out",
            )


def _check_schedule(config: TrainConfig, resumed: Manifest | None) -> None:
    start = _start(resumed)
    until = config.until_epoch or config.epochs
    if not start < until <= config.epochs:
        raise UsageError(
            "--until-epoch",
            expected=f"an epoch after {start} and up to --epochs {config.epochs}",
            got=str(until),
            fix="change --until-epoch, or resume an earlier model",
        )


def _start(resumed: Manifest | None) -> int:
    """Return how many epochs of the schedule are done."""
    return int(resumed.recipe.config["until_epoch"]) if resumed else 0


def make_recipe(
    config: TrainConfig,
    dataset: Dataset,
    resumed: Manifest | None,
    weights: Artifact | None,
    samples: Artifact | None,
    validation: Mapping[str, Dataset],
) -> Recipe:
    """Describe what determines the model, and the curves that lie beside its weights."""
    parents = []
    if resumed is not None and config.resume is not None:
        parents.append(parent_of("resume", config.resume, "model", resumed.id, config.output))
    if weights is not None:
        parents.append(artifact_parent("weights", weights, config.output))
    if samples is not None:
        parents.append(artifact_parent("samples", samples, config.output))
    parents += code_parents(imported_module(config.model))
    if config.checkpoint is not None and config.resume is None:
        digest = checkpoint_digest(config.checkpoint)
        parents.append(
            parent_of("checkpoint", config.checkpoint, "checkpoint", digest, config.output)
        )
    return Recipe(
        kind="model",
        stage="train",
        config={
            **config.keyed(),
            **_cut(config, len(dataset.sample_ids)),
            **_curves_key(validation),
        },
        parents=tuple(parents),
        source=data_source(config, config.split, dataset),
    )


def _cut(config: TrainConfig, samples: int) -> dict[str, str]:
    """Return what the key holds of how an epoch is cut into batches.

    Nothing where all are full, or there is one only: there the models of versions that left a
    short last batch are the same.
    """
    size = config.batch_size
    return {} if samples % size == 0 or samples <= size else {CUT: "even"}


def _weights(weights: Artifact, dataset: Dataset) -> Float64[np.ndarray, "n"]:
    """Return the weights in the order of the training samples."""
    fix = "score the heatmaps of the whole training split"
    return joined_weights(weights, dataset.sample_ids, f"--weights {weights.path}", fix)


def validation_sets(config: TrainConfig) -> dict[str, Dataset]:
    """Return the validation images of the learning curves, where some are not trained on."""
    from ectool.datasets.registry import find_entry

    sets: dict[str, Dataset] = {}
    for variant in CURVES:
        if VALIDATION_SPLIT not in config.split and variant in find_entry(config.data).variants:
            with suppress(InputError):
                sets[variant] = open_data(config, VALIDATION_SPLIT, variant)
    return sets
