"""Save the weights of a model, and load weights of ectool or of other programs into it."""

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

# Heads that googlenet and inception_v3 have only during training.
_AUXILIARY_HEADS = ("aux1.", "aux2.", "AuxLogits.")
_SHOWN = 3


def save_weights(model: Classifier, path: Path) -> None:
    """Write the weights of a network as safetensors; equal weights give equal bytes.

    Args:
        model: On any device, in any memory format.
        path: The file, which is overwritten.
    """
    state = {
        # Copies: weights that a network uses twice share memory, which the format does not support.
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in model.network.state_dict().items()
    }
    save_file(state, path)


def load_weights(
    model: Classifier, path: Path, *, entry: str | None = None, reset_head: bool = False
) -> None:
    """Load weights that fit the network of a model exactly; after an error it is unchanged.

    The file is a safetensors or torch file with a state dict, alone or in containers such as
    ``state_dict`` or ``model``, and with any prefix that wrappers put before every name. Ignored
    are other contents, such as the state of an optimizer or the buffers of a loss, and the weights
    of auxiliary heads that the network does not have.

    Args:
        model: Its device, type and memory format do not change.
        path: ``.safetensors``, ``.pth``, ``.pt``, ``.ckpt``, ``.bin`` or ``.tar``.
        entry: Part of the file to load. Default: the plain weights. ``ema``: their exponential
            moving average. Else the dotted name of the container, or of the part of a network, that
            contains the weights.
        reset_head: Keep the weights of the model's last layer and ignore those of the file: for
            data of other classes.

    Raises:
        InputError: The file is unreadable or contains other objects than tensors; has no such
            entry, or several sets of weights; lacks weights or has additional ones; is for another
            number of classes; or contains NaN or infinity.

    Cost: none, or one forward pass of one image to find the head.
    """
    expected = model.network.state_dict()
    state, others = select_weights(read_tensors(path), expected, entry, path)
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
        elsewhere = f", {_some(others)} elsewhere in the file" if others else ""
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
                fix="use weights for these classes, or fine-tune them (train --reset-head)",
            )


def _check_numbers(state: StateDict, expected: Mapping[str, Tensor], path: Path) -> None:
    """Check that floating-point weights are neither quantised integers nor complex numbers."""
    for name, own in expected.items():
        other = state.get(name, own)
        if own.is_floating_point() and not other.is_floating_point():
            raise InputError(
                f"weights {path}: {name}",
                expected="floating-point numbers",
                got=str(other.dtype).removeprefix("torch."),
                fix="save the network in a floating-point type, before quantisation",
            )


def _check_finite(state: StateDict, path: Path) -> None:
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"weights {path}",
                expected="finite numbers",
                got=f"NaN or infinity in {name}",
                fix="use a checkpoint from before the training diverged",
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
        fix="name their architecture (--model), or the part of the file to load (--entry)",
    )
