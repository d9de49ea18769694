"""Zero-shot classifiers of open_clip: their options, and the models they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import safe_open

from ectool.config.groups import CheckpointOptions
from ectool.errors import InputError, UsageError
from ectool.models.checkpoints.files import is_safetensors
from ectool.models.description import read_description
from ectool.models.names import is_zero_shot, resolved_architecture, shown_architecture
from ectool.models.zeroshot.prompts import Prompts, read_prompts
from ectool.stages.common.layout import SPEC_FILE
from ectool.types import SILENT, Reporter

if TYPE_CHECKING:  # importing torch takes seconds
    from ectool.models.classifier import Classifier

PROMPTS_KEY = "prompt_texts"
"""Entry of recipes: templates, and the names of each class."""
_HEAD = {"head.weight", "head.logit_scale"}
"""Text features and scale in the weights of a model of ectool."""


def prompts_of(architecture: str, options: CheckpointOptions) -> Prompts | None:
    """Return the prompts of a zero-shot classifier; None for other networks.

    Raises:
        InputError: The file of the prompts cannot be read, or is not valid.
        UsageError: There are prompts for another network.
    """
    if is_zero_shot(architecture):
        return read_prompts(options.prompts)
    if options.prompts is not None:
        raise UsageError(
            "--prompts",
            expected="a zero-shot classifier, --model openclip:ARCH",
            got=f"--model {architecture}",
            fix="leave it out",
        )
    return None


def prompts_key(
    architecture: str, options: CheckpointOptions, class_names: Sequence[str]
) -> dict[str, Any]:
    """Return the entry of a recipe for the prompts of a zero-shot classifier.

    No entry for other networks, and none for weights with text features, which contain them.

    Raises:
        InputError: The prompts cannot be read, or do not fit the classes.
    """
    prompts = prompts_of(architecture, options)
    if prompts is None or _has_text_features(options.checkpoint):
        return {}
    names = class_names or prompts.classes
    return {PROMPTS_KEY: prompts.of_classes(names).to_json()}


def zero_shot_model(
    architecture: str,
    prompts: Prompts,
    class_names: Sequence[str] | None,
    checkpoint: Path | None,
    *,
    options: CheckpointOptions,
    size: tuple[int, int] | None,
    layer: str | None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> Classifier:
    """Make a zero-shot classifier, or load one that ectool has saved.

    Args:
        architecture: `openclip:ARCH`.
        prompts: Templates and names.
        class_names: Names of the classes in the order of the logits; None for those of the prompts.
        checkpoint: Weights of both towers, or those of a model of ectool, which has text features
            in place of the text tower; None for random weights.
        options: Normalisation, and the part of the file to load.
        size: (height, width) of the images. Default: that of the architecture.
        layer: Target layer. Default: found automatically.
        seed: Seed of random weights.
        reporter: Receives what differs from the file.

    Raises:
        InputError: The weights do not fit, or the prompts do not fit the classes.
        UsageError: There are prompts for a file with text features.

    Cost: both towers are made once, and the text tower runs on every prompt.
    """
    from ectool.models.checkpoints.checkpoint import load_weights
    from ectool.models.zeroshot.towers import fill

    stored = checkpoint if _has_text_features(checkpoint) else None
    if stored is not None:
        prompts = _stored(stored, options)
    names = class_names or prompts.classes
    if stored is None:
        prompts = prompts.of_classes(_checked(names))
    model = _created(architecture, names, options=options, size=size, layer=layer, seed=seed)
    if stored is not None:
        loaded = load_weights(model, stored, entry=options.entry)
        model.spec = replace(model.spec, prompts=prompts)
    else:
        loaded = fill(model, prompts, checkpoint, seed=seed, entry=options.entry)
    for remark in loaded.remarks():
        reporter.note(f"{checkpoint}: {remark}")
    if checkpoint is None:
        reporter.note(
            f"{model.architecture}: both towers are random, drawn from seed {seed}; give the "
            "weights as --checkpoint"
        )
    return model


def _created(
    architecture: str,
    names: Sequence[str],
    *,
    options: CheckpointOptions,
    size: tuple[int, int] | None,
    layer: str | None,
    seed: int,
) -> Classifier:
    """Return a zero-shot classifier for classes, without weights; see `zero_shot_model`."""
    from ectool.models.registry import create
    from ectool.stages.common.model_folder import name_classes

    model = create(
        architecture,
        names,
        seed=seed,
        input_size=size,
        layer=layer,
        mean=options.mean,
        std=options.std,
    )
    name_classes(model, names)
    return model


def with_configuration(options: Any) -> Any:  # noqa: ANN401 (options of any command with a model)
    """Return options whose architecture contains its configuration, and not the path of its file.

    Raises:
        InputError: The configuration cannot be used.
    """
    architecture = resolved_architecture(options.model)
    if architecture == options.model:
        return options
    return options.model_copy(update={"model": architecture})


def trained_head(architecture: str) -> UsageError:
    """Return the error for a new head of a zero-shot classifier."""
    return UsageError(
        "--reset-head",
        expected="a network with a trained head",
        got=f"{shown_architecture(architecture)}, whose head are the text features of its prompts",
        fix="leave it out, and give --prompts for other classes",
    )


def _has_text_features(checkpoint: Path | None) -> bool:
    """Return whether weights are of ectool, with text features in place of a text tower."""
    if checkpoint is None or not checkpoint.is_file() or not is_safetensors(checkpoint):
        return False
    with safe_open(checkpoint, framework="numpy") as file:
        return set(file.keys()) >= _HEAD


def _stored(checkpoint: Path, options: CheckpointOptions) -> Prompts:
    """Return the prompts of a model of ectool, from its description beside the weights."""
    if options.prompts is not None:
        raise UsageError(
            "--prompts",
            expected="a checkpoint with a text tower",
            got=f"{checkpoint}, which has the text features of its prompts",
            fix="leave it out, or give the checkpoint of open_clip",
        )
    beside = checkpoint.with_name(SPEC_FILE)
    content = read_description(beside).prompts if beside.is_file() else None
    return Prompts.from_json(content, str(beside)) if content else Prompts()


def _checked(names: Sequence[str]) -> Sequence[str]:
    """Check that there are classes.

    Raises:
        InputError: There are none.
    """
    if len(names) > 1:
        return names
    raise InputError(
        "classes of a zero-shot classifier",
        expected="the names of at least two",
        got=", ".join(names) or "none",
        fix="give a file with a table [classes] as --prompts, or their names",
    )
