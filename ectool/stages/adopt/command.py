"""`adopt`: a network of another program, with its checkpoint, as a model artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ectool.artifacts import folder
from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import up_to_date
from ectool.config import AdoptConfig
from ectool.datasets.class_order import order_of
from ectool.errors import InputError, UsageError, listed
from ectool.models.names import (
    OPENCLIP,
    check_architecture,
    is_zero_shot,
    plain_architectures,
    program_file,
    shown_architecture,
    split_architecture,
)
from ectool.stages.adopt.names import class_names
from ectool.stages.adopt.preprocessing import Preprocessing, find_preprocessing
from ectool.stages.common.code import imported_module
from ectool.stages.common.found_models import checkpoint_digest, code_parents
from ectool.stages.common.inputs import parent_of
from ectool.stages.common.loop.space import check_space, weights_need
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.zero_shot import prompts_key, prompts_of, trained_head, with_configuration
from ectool.types import SILENT, Outcome, Reporter

_SHOWN = 3


def run(config: AdoptConfig, reporter: Reporter = SILENT) -> Outcome | dict[str, Any]:
    """Write a checkpoint and its architecture as a model artifact; with `dry_run` describe it.

    Raises:
        UsageError: The checkpoint or the number of classes is missing, or the model is a program.
        InputError: The weights do not fit the architecture, the names do not fit the classes, or
            the logits are not finite or are the same for all images.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    checkpoint = _checkpoint(config)
    config = with_configuration(config)
    names = class_names(config) or _prompted(config)
    _check_count(config, names)
    beside = find_preprocessing(checkpoint)
    resolved = _resolved(config, beside)
    recipe = make_recipe(resolved, checkpoint, names)
    if not config.dry_run and up_to_date(config.output, recipe, force=config.force):
        return outcome_of(config.output, is_new=False)
    from ectool.stages.adopt.work import adopted, described, save

    model = adopted(resolved, checkpoint, names, reporter)
    _note_origin(config, beside, reporter)
    if config.dry_run:
        return model.spec.to_json()
    reporter.note(f"{config.output}: {described(model)}")
    check_space(config.output, config, weights_need(model), reporter)
    with folder.building(config.output, recipe) as partial:
        return outcome_of(partial.publish(save(model, partial)), is_new=True)


def make_recipe(config: AdoptConfig, checkpoint: Path, names: tuple[str, ...]) -> Recipe:
    """Return the recipe of an adopted model."""
    digest = checkpoint_digest(checkpoint)
    parents = [
        parent_of("checkpoint", checkpoint, "checkpoint", digest, config.output),
        *code_parents(imported_module(config.model)),
    ]
    # The number of classes follows from the checkpoint, except for a new head.
    classes = {"classes": config.classes} if config.reset_head and not names else {}
    order = {"class_order": order_of(names)} if order_of(names) else {}
    return Recipe(
        kind="model",
        stage="adopt",
        config={
            **config.keyed(),
            "names": list(names),
            **classes,
            **order,
            **prompts_key(config.model, config, names),
        },
        parents=tuple(parents),
    )


def _checkpoint(config: AdoptConfig) -> Path:
    """Return the checkpoint.

    Raises:
        InputError: There is no such architecture.
        UsageError: There is no checkpoint, or the model is a program, a folder or a file.
    """
    if program_file(config.model) is not None:
        raise UsageError(
            f"--model {config.model}",
            expected="an architecture",
            got="a program, which contains its weights and does not show its layers",
            fix="give the program as --model of the other commands, or its architecture here",
        )
    if Path(config.model).exists() and config.model not in plain_architectures():
        raise UsageError(
            f"--model {config.model}",
            expected="the name of an architecture",
            got="a folder" if Path(config.model).is_dir() else "a file",
            fix="give a checkpoint as --checkpoint; a model artifact needs no adopt",
        )
    check_architecture(config.model)
    if config.checkpoint is None:
        raise UsageError(
            "--checkpoint", expected="the weights of the model", got="none", fix="add it"
        )
    return config.checkpoint


def _prompted(config: AdoptConfig) -> tuple[str, ...]:
    """Return the classes of the prompts of a zero-shot classifier; none for other networks.

    Raises:
        InputError: The prompts cannot be read.
        UsageError: There are prompts for another network, or options of a trained head.
    """
    prompts = prompts_of(config.model, config)
    return () if prompts is None else prompts.classes


def _check_count(config: AdoptConfig, names: tuple[str, ...]) -> None:
    """Check that the number of classes is that of the names, and is known for a new head.

    Raises:
        UsageError: It is not.
    """
    if names and config.classes is not None and len(names) != config.classes:
        raise UsageError(
            f"--classes {config.classes}",
            expected=f"the number of names, {len(names)}",
            got=f"{config.classes}, but the names {listed(names, _SHOWN)}",
            fix="leave it out, or give all names in the order of the logits",
        )
    if config.reset_head and is_zero_shot(config.model):
        raise trained_head(config.model)
    if config.reset_head and not names and config.classes is None:
        raise UsageError(
            "--reset-head",
            expected="the classes of the new head",
            got="no --names, --classes-from or --classes",
            fix="add one of them",
        )


def _resolved(config: AdoptConfig, beside: Preprocessing | None) -> AdoptConfig:
    """Return the configuration with the values of the files beside the checkpoint.

    Raises:
        InputError: A value in them is out of bounds.
    """
    if beside is None:
        return config
    found = {"mean": beside.mean, "std": beside.std, "image_size": beside.size}
    update = {n: v for n, v in found.items() if v is not None and getattr(config, n) is None}
    try:
        return AdoptConfig.model_validate({**config.model_dump(), **update})
    except (UsageError, ValueError) as error:
        raise InputError(
            str(beside.file),
            expected="mean and standard deviation of pixels in [0, 1], and a size",
            got=", ".join(f"{name} {value}" for name, value in update.items()),
            fix="give --mean, --std and --image-size",
        ) from error


def _note_origin(config: AdoptConfig, beside: Preprocessing | None, reporter: Reporter) -> None:
    """Say where the normalisation comes from, and warn if it is only assumed."""
    if config.mean is not None and config.std is not None:
        return
    if beside is not None and beside.mean is not None:
        reporter.note(f"{config.output}: normalisation of {beside.file}")
    elif split_architecture(config.model)[0] in KNOWN_NORMALISATION:
        reporter.note(
            f"{config.output}: normalisation of the public weights of "
            f"{shown_architecture(config.model)}; give --mean and --std if the checkpoint was "
            "trained with others"
        )
    else:
        reporter.warn(
            f"{config.output}: the normalisation of {config.model} is unknown, so it is "
            "assumed to be ImageNet's; give --mean and --std of its training"
        )


KNOWN_NORMALISATION = ("", "timm", OPENCLIP)
"""Sources of networks whose public weights tell their normalisation."""
