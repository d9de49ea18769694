"""Checks that the weights of a file fit a network; every error is one line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ectool.errors import InputError, listed
from ectool.models.checkpoints.containers import COUNTER
from ectool.models.checkpoints.tensors import StateDict

Weights = Mapping[str, Tensor]

NAME_IT = "name their architecture (--model), or the part of the file to load (--entry)"
_SHOWN = 3
_STYLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^blocks\.\d+\.attn\.qkv\."), "these are names of timm: give --model timm:NAME"),
    (
        re.compile(r"(^|\.)(attention\.attention\.query|layer\.\d+\.convolution)\."),
        "these are names of transformers: give its network as --model import:MODULE:FACTORY",
    ),
)
"""Names of weights by which the networks of other libraries are recognised, and what to do."""


def check_numbers(state: Weights, expected: Weights, path: Path) -> None:
    """Check that floating-point weights are neither quantised integers nor complex numbers.

    Raises:
        InputError: One is; the message names the first.
    """
    for name, own in expected.items():
        other = state.get(name, own)
        if own.is_floating_point() and not other.is_floating_point():
            raise InputError(
                f"weights {path}: {name}",
                expected="floating-point numbers",
                got=str(other.dtype).removeprefix("torch."),
                fix="save the network in a floating-point type, before quantisation",
            )


def check_classes(state: Weights, expected: Weights, classes: int, path: Path) -> None:
    """Check that the head of the file has the classes of the network.

    Raises:
        InputError: It has others; the message names both numbers.
    """
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


def check_finite(state: Weights, path: Path) -> None:
    """Check that all weights are finite.

    Raises:
        InputError: One is not; the message names the first.
    """
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"weights {path}",
                expected="finite numbers",
                got=f"NaN or infinity in {name}",
                fix="use a checkpoint from before the training diverged",
            )


def misfit(state: StateDict, expected: Weights, others: Sequence[str]) -> str | None:
    """Return which weights are missing, unexpected or of another shape; None if all fit.

    Args:
        state: Weights of the file by their names in the network.
        expected: Weights of the network.
        others: Names of the other tensors of the file.
    """
    missing = [n for n in expected if n not in state and not n.endswith(COUNTER)]
    unexpected = [name for name in state if name not in expected]
    shapes = [
        f"{name} {_shape(state[name])} for {_shape(own)}"
        for name, own in expected.items()
        if name in state and state[name].shape != own.shape
    ]
    if not (missing or unexpected or shapes):
        return None
    parts = [f"{_some(missing)} missing", f"{_some(unexpected)} unexpected"]
    parts += [f"{_some(shapes)} of another shape"] * bool(shapes)
    parts += [f"{_some(others)} elsewhere in the file"] * bool(others)
    return ", ".join(parts)


def misfit_error(path: Path, got: str, fix: str = NAME_IT) -> InputError:
    """Return the error of weights that do not fit."""
    return InputError(
        f"weights {path}", expected="exactly the weights of this architecture", got=got, fix=fix
    )


def fix_of(state: Weights, expected: Weights) -> str:
    """Return what to do about weights whose names do not fit."""
    for pattern, fix in _STYLES:
        if any(map(pattern.search, state)) and not any(map(pattern.search, expected)):
            return fix
    return NAME_IT


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return f"{len(names)} ({listed(names, _SHOWN)})"
