"""Load a checkpoint into its architecture, check the model on a batch, and write it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ectool.artifacts import files
from ectool.artifacts.folder import PartialFolder
from ectool.config import AdoptConfig
from ectool.datasets.class_order import order_of
from ectool.errors import InputError, listed
from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.class_count import class_count
from ectool.models.classifier import Channels, Classifier
from ectool.models.layers.probe import format_size
from ectool.models.modes import frozen
from ectool.models.registry import create
from ectool.stages.common.huge_logits import LIMIT
from ectool.stages.common.loaded import check_finite
from ectool.stages.common.model_folder import save_folder
from ectool.stages.common.zero_shot import prompts_of, zero_shot_model
from ectool.types import Reporter, Unnamed

GREYS, NOISES, GRID = (0.0, 0.5, 1.0), 3, 4
"""Images of the check: grey levels, images of noise, and as many of noise in a coarse grid."""
MIN_SPREAD = 1e-6
"""Minimum difference of logits between images, relative to the largest logit."""
_SHOWN = 4


def adopted(
    config: AdoptConfig, checkpoint: Path, names: tuple[str, ...], reporter: Reporter
) -> Classifier:
    """Return the model: its weights are loaded, and its logits are checked.

    Args:
        config: Options with the values of the files beside the checkpoint.
        checkpoint: File or folder of the weights.
        names: Names of the classes; empty if they are not known.
        reporter: Receives what differs from the checkpoint.

    Raises:
        InputError: The weights do not fit, their classes are not those of the names, or the logits
            are not finite or do not depend on the image.

    Cost: the network is made twice, and runs on a few images.
    """
    size = None if config.image_size is None else (config.image_size, config.image_size)
    prompts = prompts_of(config.model, config)
    if prompts is None:
        model = _loaded(config, checkpoint, names, size, reporter)
    else:
        model = zero_shot_model(
            config.model,
            prompts,
            names,
            checkpoint,
            options=config,
            size=size,
            layer=config.layer,
            reporter=reporter,
        )
    largest = check_logits(model)
    if largest > LIMIT:
        reporter.warn(
            f"{config.output}: logits of noise reach {largest:.3g}, beyond {LIMIT:g}; check the "
            "normalisation (--mean, --std)"
        )
    return model


def _loaded(
    config: AdoptConfig,
    checkpoint: Path,
    names: tuple[str, ...],
    size: tuple[int, int] | None,
    reporter: Reporter,
) -> Classifier:
    """Return a model with the weights of the checkpoint, or with a new head."""
    classes = _classes(config, checkpoint, names, size)
    model = create(
        config.model,
        names or Unnamed.of(classes),
        seed=config.seed,
        input_size=size,
        layer=config.layer,
        mean=config.mean,
        std=config.std,
    )
    model.spec = replace(model.spec, has_names=bool(names), class_order=order_of(names))
    loaded = load_weights(model, checkpoint, entry=config.entry, reset_head=config.reset_head)
    for remark in loaded.remarks():
        reporter.note(f"{config.output}: {remark}")
    if loaded.fresh:
        reporter.warn(
            f"{config.output}: the head is drawn from seed {config.seed}, so predictions "
            "mean nothing yet; train it: train --model"
        )
    return model


def _classes(
    config: AdoptConfig, checkpoint: Path, names: tuple[str, ...], size: tuple[int, int] | None
) -> int:
    """Return the number of classes, which the names have to have too."""
    if config.reset_head:
        return config.classes or len(names)
    found = config.classes or class_count(config.model, checkpoint, entry=config.entry, size=size)
    if names and len(names) != found:
        raise InputError(
            "class names",
            expected=f"{found}, as the head of {checkpoint} has",
            got=f"{len(names)} ({listed(names, _SHOWN)})",
            fix="give all names in the order of the logits, or --reset-head for other classes",
        )
    return found


def check_logits(model: Classifier) -> float:
    """Check on a batch that the logits are finite, and differ between images.

    Returns:
        The largest absolute logit.

    Raises:
        InputError: They do not.

    Cost: one forward pass of nine images.
    """
    images = probe_images(model.input_size)
    with frozen(model), torch.no_grad():
        logits = model(images).float()
    check_finite(logits, [f"image {number} of the check" for number in range(len(images))])
    spread = (logits.amax(dim=0) - logits.amin(dim=0)).max()
    largest = float(logits.abs().max())
    if spread <= MIN_SPREAD * largest:
        raise InputError(
            f"logits of {model.architecture}",
            expected="others for other images",
            got=f"the same for {len(images)} images",
            fix="check the checkpoint (--entry), and the normalisation (--mean, --std)",
        )
    return largest


def probe_images(size: tuple[int, int]) -> Float[Tensor, "n 3 h w"]:
    """Return grey images, noise, and noise in a coarse grid: the same images in each call.

    Args:
        size: (height, width) in pixels.

    Returns:
        Pixels in [0, 1].
    """
    generator = torch.Generator().manual_seed(0)
    grey = torch.tensor(GREYS).view(-1, 1, 1, 1).expand(-1, 3, *size)
    fine = torch.rand(NOISES, 3, *size, generator=generator)
    coarse = torch.rand(NOISES, 3, GRID, GRID, generator=generator)
    return torch.cat([grey, fine, F.interpolate(coarse, size=size, mode="nearest")])


def described(model: Classifier) -> str:
    """Return architecture, classes, size, target layer and normalisation in one line."""
    spec = model.spec
    names = f" ({listed(spec.class_names, _SHOWN)})" if spec.has_names else " without names"
    layer = f"{spec.target_layer} ({spec.layout})" if spec.target_layer else "none"
    return (
        f"{model.architecture}, {len(spec.class_names)} classes{names}, images of "
        f"{format_size(spec.input_size)}, target layer {layer}, mean {_numbers(spec.mean)}, "
        f"std {_numbers(spec.std)}"
    )


def _numbers(values: Channels) -> str:
    return ",".join(f"{value:.4g}" for value in values)


def save(model: Classifier, partial: PartialFolder) -> dict[str, str]:
    """Write the model into the store of an unfinished artifact; return its files' checksums."""
    files.remove(partial.store)  # a killed process may have left unfinished files of safetensors
    partial.store.mkdir(parents=True)
    return save_folder(model, partial.store)
