"""The model artifact that a training starts from: `train --model FOLDER`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ectool.artifacts import folder
from ectool.artifacts.manifest import FILE_NAME, Manifest, Parent
from ectool.config import TrainConfig
from ectool.datasets.base import Dataset
from ectool.errors import InputError, UsageError, listed
from ectool.models.description import read_description
from ectool.models.names import split_architecture
from ectool.stages.common.code import check_trusted
from ectool.stages.common.inputs import parent_of
from ectool.stages.common.layout import SPEC_FILE, WEIGHTS_FILE
from ectool.types import Unnamed

FINE_TUNING_LR = {"sgd": 0.01, "adamw": 1e-3}
"""Default of `--lr` for a training that starts from trained weights."""
_SHOWN = 12


@dataclass(frozen=True)
class Origin:
    """A model artifact that a training starts from.

    Attributes:
        path: Its folder.
        manifest: Its manifest.
        class_names: Names of its classes; None if the classes have no names.
    """

    path: Path
    manifest: Manifest
    class_names: tuple[str, ...] | None

    def parent(self, output: Path) -> Parent:
        """Return it as a parent of the trained model."""
        return parent_of("model", self.path, "model", self.manifest.id, output)


def with_origin(config: TrainConfig) -> tuple[TrainConfig, Origin | None]:
    """Replace a model artifact by its architecture, weights, normalisation and target layer.

    Returns:
        The configuration, unchanged for the name of an architecture; and the artifact.

    Raises:
        InputError: The folder is no model artifact.
        IntegrityError: Its files have changed since they were written.
        UsageError: Options of a checkpoint were given as well.
    """
    path = Path(config.model)
    if split_architecture(config.model)[0] or not (
        os.sep in config.model or (path / FILE_NAME).exists()
    ):
        return config, None
    manifest = folder.open_folder(path, "model")
    for name in ("checkpoint", "entry", "mean", "std", "prompts"):
        if getattr(config, name) is not None:
            raise UsageError(
                f"--{name}",
                expected="an architecture as --model",
                got=f"the model artifact {path}, which contains this",
                fix="leave it out",
            )
    for name in (SPEC_FILE, WEIGHTS_FILE):
        folder.verify_file(path / name, manifest)
    spec = read_description(path / SPEC_FILE)
    if spec.masked_layer is not None:
        raise InputError(
            f"--model {path}",
            expected="a network without masks of templates",
            got=f"masks at {spec.masked_layer}, from --interpretable",
            fix="continue it with --resume, or start from another model",
        )
    where = str(path / SPEC_FILE)
    check_trusted(spec.architecture, where, trust_code=config.trust_code)
    update = {
        "model": spec.architecture,
        "checkpoint": path / WEIGHTS_FILE,
        "mean": tuple(spec.mean),
        "std": tuple(spec.std),
        "layer": config.layer or spec.target_layer,
    }
    names = tuple(spec.class_names) if spec.has_names else None
    return config.model_copy(update=update), Origin(path, manifest, names)


def with_rate(config: TrainConfig) -> TrainConfig:
    """Return the configuration with the default learning rate of fine-tuning, where it applies.

    The default is for a training from scratch, whose steps destroy trained weights.
    """
    if config.checkpoint is None or config.resume is not None or "lr" in config.model_fields_set:
        return config
    return config.model_copy(update={"lr": FINE_TUNING_LR[config.optimizer]})


def check_trained(resume: Path, manifest: Manifest) -> None:
    """Check that a model to resume comes from a training, with the state of its optimizer.

    Raises:
        InputError: It was adopted.
    """
    if manifest.recipe.stage != "train":
        raise InputError(
            f"--resume {resume}",
            expected="a model of train",
            got=f"one of {manifest.recipe.stage}, without the state of an optimizer",
            fix="give it as --model to start from its weights",
        )


def check_classes(origin: Origin, dataset: Dataset) -> None:
    """Check that the classes of the data are those of the artifact, whose head is kept.

    Raises:
        InputError: They are others, or in another order.
    """
    own, given = origin.class_names, tuple(dataset.classes)
    if own is None or isinstance(dataset.classes, Unnamed) or own == given:
        return
    is_order = sorted(own) == sorted(given)
    raise InputError(
        f"classes of {dataset.name}",
        expected=f"those of {origin.path}, {listed(own, _SHOWN)}",
        got=("them in another order, " if is_order else "") + listed(given, _SHOWN),
        fix="give --reset-head to train a new head for these classes",
    )
