"""Weights on disk: our own safetensors files and other people's state dicts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from ectool.errors import InputError, listed
from ectool.models.checkpoints.containers import select_weights
from ectool.models.checkpoints.tensors import StateDict, read_tensors
from ectool.models.classifier import Classifier
from ectool.models.layers.head import head_layers

# Heads that googlenet and inception_v3 have while they are trained only.
_AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")
_SHOWN = 3


def save_weights(model: Classifier, path: Path) -> None:
    """Write the network's weights as safetensors; equal weights give equal bytes.

    Args:
        model: On any device, in any memory format.
        path: The file; it is overwritten.
    """
    state = {
        # Copies: weights that a network uses twice share memory, which the format has no word for.
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.network.state_dict().items()
    }
    save_file(state, path)


def load_weights(
    model: Classifier, path: Path, *, entry: str | None = None, reset_head: bool = False
) -> None:
    """Load weights that fit the model's network exactly; on error the model stays as it was.

    Understood are safetensors files and torch files that hold a state dict, bare or in containers
    such as ``state_dict`` or ``model``, beside whatever else training scripts write down, with any
    of the prefixes that wrappers put before every name. Weights of auxiliary heads the network does
    not have are left out, and so is all that does not lie where the network's weights do, such as
    the buffers of a loss.

    Args:
        model: Keeps its device, type and memory format.
        path: ``.safetensors``, ``.pth``, ``.pt``, ``.ckpt``, ``.bin`` or ``.tar``.
        entry: What of the file to load. Default: the plain weights. ``ema``: their exponential
            moving average. Anything else: the dotted name of the container, or of the part of the
            network, they lie in.
        reset_head: Leave the weights of the last layer as they are, whatever the file holds for
            them: for data of other classes.

    Raises:
        InputError: The file is unreadable or holds other objects than tensors, has no such entry,
            misses weights or has more than the network, is for another number of classes or has NaN
            or infinity.

    Cost: none, or one forward pass of one image to find the head.
    """
    expected = model.network.state_dict()
    state, beside = select_weights(read_tensors(path), expected, entry, path)
    state = {
        name: value
        for name, value in state.items()
        if name in expected or not name.startswith(_AUXILIARY_HEADS)
    }
    if reset_head:
        state = _with_own_head(state, model, expected)
    _check_numbers(state, expected, path)
    _check_classes(state, expected, len(model.class_names), path)
    _check_finite(state, path)
    trial = copy.deepcopy(model.network)
    try:
        mismatch = trial.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise _misfit(path, str(error).splitlines()[-1].strip()) from error
    missing, unexpected = mismatch.missing_keys, mismatch.unexpected_keys
    if missing or unexpected:
        elsewhere = f", {_some(beside)} elsewhere in the file" if beside else ""
        raise _misfit(path, f"{_some(missing)} missing, {_some(unexpected)} unexpected{elsewhere}")
    model.network.load_state_dict(trial.state_dict())


def _with_own_head(
    state: StateDict, model: Classifier, expected: Mapping[str, Tensor]
) -> StateDict:
    layers = head_layers(model)

    def is_head(name: str) -> bool:
        return any(name == layer or name.startswith(f"{layer}.") for layer in layers)

    return {
        **{name: value for name, value in state.items() if not is_head(name)},
        **{name: value for name, value in expected.items() if is_head(name)},
    }


def _check_classes(
    state: StateDict, expected: Mapping[str, Tensor], classes: int, path: Path
) -> None:
    for name, own in expected.items():
        other = state.get(name, own)
        if other.ndim != own.ndim or other.shape[1:] != own.shape[1:]:
            continue
        if other.shape != own.shape and own.shape[0] == classes:
            raise InputError(
                f"weights {path}",
                expected=f"a head for {classes} classes",
                got=f"one for {other.shape[0]} classes ({name})",
                fix="use weights for the same classes, or fine-tune them (train --reset-head)",
            )


def _check_numbers(state: StateDict, expected: Mapping[str, Tensor], path: Path) -> None:
    """Check that no number loses its meaning: integers stand for others, halves of complex ones."""
    for name, own in expected.items():
        other = state.get(name, own)
        if own.is_floating_point() and not other.is_floating_point():
            raise InputError(
                f"weights {path}: {name}",
                expected="floating-point numbers",
                got=str(other.dtype).removeprefix("torch."),
                fix="save the network before it is quantised, in a floating-point type",
            )


def _check_finite(state: StateDict, path: Path) -> None:
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"weights {path}",
                expected="finite numbers",
                got=f"NaN or infinity in {name}",
                fix="use a checkpoint from before training diverged",
            )


def _some(names: list[str]) -> str:
    if not names:
        return "none"
    return f"{len(names)} ({listed(names, _SHOWN)})"


def _misfit(path: Path, got: str) -> InputError:
    return InputError(
        f"weights {path}",
        expected="exactly the weights of this architecture",
        got=got,
        fix="name the architecture they were made for (--model), or the entry they lie in",
    )
