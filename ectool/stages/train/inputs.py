"""Inputs of `train`: opened, and checked to belong together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ectool.artifacts import folder
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import Manifest
from ectool.config import TrainConfig
from ectool.config.objectives import NEEDS_GROUPS, ONE_LABEL, OWN_WEIGHTS
from ectool.datasets.base import Dataset, is_multilabel
from ectool.datasets.labels import check_labelled
from ectool.errors import InputError, UsageError, listed
from ectool.models.description import read_description
from ectool.stages.common.inputs import data_source, open_data, short
from ectool.stages.common.layout import SPEC_FILE
from ectool.stages.common.same_images import SELECTION, VIEW, check_same_images
from ectool.stages.common.weighting import joined_weights
from ectool.stages.train.origin import Origin, check_classes

CURVES = ("original", "mixed_rand")
"""Variants of the validation images that have a learning curve, where the data set has them."""
CURVES_KEY = "validation"
"""Entry of the key with the fingerprints of the validation images, by variant."""
VALIDATION_SPLIT = "validation"
_SHOWN_CLASSES = 12


@dataclass(frozen=True)
class TrainInputs:
    """Inputs of a training.

    Attributes:
        dataset: The training images.
        resumed: Manifest of the model that is trained further.
        weights: Artifact of the sample weights.
        samples: Artifact of the perturbed images.
        validation: Validation images by variant; those of the learning curves.
        values: The sample weights in the order of `dataset`, not scaled.
        origin: Model artifact that the training starts from.
    """

    dataset: Dataset
    resumed: Manifest | None
    weights: Artifact | None
    samples: Artifact | None
    validation: Mapping[str, Dataset]
    values: Float64[np.ndarray, "n"] | None
    origin: Origin | None = None


def open_inputs(
    config: TrainConfig, resumed: Manifest | None, origin: Origin | None = None
) -> TrainInputs:
    """Open the inputs of a training and check that they belong together.

    Raises:
        InputError: One is missing, or does not belong to the others.
        UsageError: The objective does not go with the data or with sample weights.
    """
    dataset = open_data(config, config.split)
    check_labelled(dataset, "train on a labelled split")
    _check_data(config, dataset, resumed)
    if origin is not None and resumed is None and not config.reset_head:
        check_classes(origin, dataset)
    _check_objective(config, dataset)
    weights = Artifact(config.weights, "weights") if config.weights else None
    samples = Artifact(config.samples, "samples") if config.samples else None
    _check_images(config, dataset, weights, samples)
    validation = validation_sets(config)
    _check_validation(config, validation, resumed)
    values = None if weights is None else _weights(weights, dataset)
    return TrainInputs(dataset, resumed, weights, samples, validation, values, origin)


def _check_data(config: TrainConfig, dataset: Dataset, resumed: Manifest | None) -> None:
    """Check that the data are the training images of the resumed model, at any path."""
    source = resumed.recipe.source if resumed else None
    if resumed is not None and config.resume is not None:
        folder.verify_file(config.resume / SPEC_FILE, resumed)
        _check_classes(config.resume, dataset)
    if source is not None and source.fingerprint != dataset.fingerprint:
        raise InputError(
            f"--data {config.data}",
            expected=f"the images {config.resume} was trained on ({source.data}), "
            f"fingerprint {short(source.fingerprint)}",
            got=f"others, fingerprint {short(dataset.fingerprint)}",
            fix="restore them, or train from the start",
        )


def _check_objective(config: TrainConfig, dataset: Dataset) -> None:
    """Check that the objective goes with the data and with the sample weights.

    Raises:
        InputError: It needs groups, and the data set has none.
        UsageError: It needs one label per image, or no sample weights.
    """
    name = f"--objective {config.objective}"
    if config.objective in NEEDS_GROUPS and dataset.groups is None:
        raise InputError(
            name,
            expected="a data set with groups",
            got=f"{config.data} without",
            fix="give a CSV file with a column group, or choose another objective",
        )
    if config.objective in ONE_LABEL and is_multilabel(dataset.labels):
        raise UsageError(
            name,
            expected="one label per image",
            got=f"{config.data}, which is multi-label",
            fix="choose another objective",
        )
    if config.objective in OWN_WEIGHTS and config.weights is not None:
        raise UsageError(
            name,
            expected="no --weights, because it weighs the samples itself",
            got=f"--weights {config.weights}",
            fix="leave one of them out",
        )


def _check_classes(resume: Path, dataset: Dataset) -> None:
    """Check that a resumed model's classes are those of the data, in their order.

    Args:
        resume: Folder of the model; its files have been verified.
        dataset: The training images.

    Raises:
        InputError: They are not; the message shows both lists.
    """
    own = tuple(read_description(resume / SPEC_FILE).class_names)
    if own == tuple(dataset.classes):
        return
    is_order = sorted(own) == sorted(dataset.classes)
    raise InputError(
        f"classes of {dataset.name}",
        expected=f"those of {resume}, {listed(own, _SHOWN_CLASSES)}",
        got=("them in another order, " if is_order else "")
        + listed(dataset.classes, _SHOWN_CLASSES),
        fix="give --class-order as it was trained"
        if is_order
        else "restore the data, or train from the start",
    )


def _check_validation(
    config: TrainConfig, validation: Mapping[str, Dataset], resumed: Manifest | None
) -> None:
    """Check that the validation images are those of the resumed learning curves.

    Raises:
        InputError: They have changed.
    """
    before = resumed.recipe.config.get(CURVES_KEY, {}) if resumed else {}
    for variant, dataset in validation.items():
        if before.get(variant, dataset.fingerprint) != dataset.fingerprint:
            raise InputError(
                f"validation images of {config.data} ({variant})",
                expected=f"those of {config.resume}, fingerprint {short(before[variant])}",
                got=f"others, fingerprint {short(dataset.fingerprint)}",
                fix="restore them, or train from the start",
            )


def _check_images(
    config: TrainConfig, dataset: Dataset, weights: Artifact | None, samples: Artifact | None
) -> None:
    """Check that weights and samples belong to the training images."""
    source = data_source(config, config.split, dataset)
    if weights is not None:
        check_same_images(weights, source, f"--weights {weights.path}", SELECTION | VIEW)
    if samples is not None:
        check_same_images(samples, source, f"--samples {samples.path}")


def _weights(weights: Artifact, dataset: Dataset) -> Float64[np.ndarray, "n"]:
    """Return the weights in the order of the training samples."""
    fix = "score the heatmaps of the whole training split"
    return joined_weights(weights, dataset.sample_ids, f"--weights {weights.path}", fix)


def validation_sets(config: TrainConfig) -> dict[str, Dataset]:
    """Return the validation images of the learning curves; none where they are trained on."""
    from ectool.datasets.registry import find_entry

    sets: dict[str, Dataset] = {}
    for variant in CURVES:
        if VALIDATION_SPLIT not in config.split and variant in find_entry(config.data).variants:
            with suppress(InputError):
                sets[variant] = open_data(config, VALIDATION_SPLIT, variant)
    return sets
