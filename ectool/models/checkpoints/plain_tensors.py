"""Tensors of other people's files as plain ones: dense, of numbers that can be loaded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ectool.errors import InputError

_SMALLEST = 2
"""Bytes of a half; floating-point numbers of fewer can be converted and little else."""


def plain(value: Tensor, name: str, path: Path) -> Tensor:
    """Return a tensor as weights are loaded from.

    Sparse ones become dense, and 8-bit floating-point numbers float32, which holds each of them.
    Nothing is copied otherwise.

    Args:
        value: What was in the file.
        name: Its name, for errors.
        path: The file, for errors.

    Raises:
        InputError: It holds no numbers (meta), or numbers that mean others (quantised), or is of a
            class of its own.
    """
    if type(value) not in (Tensor, nn.Parameter, nn.Buffer):
        raise _refused(path, name, f"a {type(value).__name__}", "save plain tensors")
    value = value.detach()
    if value.is_meta:
        fix = "save the network after its weights have been loaded"
        raise _refused(path, name, "a tensor without numbers (on the meta device)", fix)
    if value.is_quantized:
        fix = "save the network before it is quantised"
        raise _refused(path, name, "a quantised tensor", fix)
    if value.is_nested:
        raise _refused(path, name, "a nested tensor", "save plain tensors")
    if value.layout != torch.strided:
        value = value.to_dense()
    is_tiny = value.is_floating_point() and value.element_size() < _SMALLEST
    return value.float() if is_tiny else value


def _refused(path: Path, name: str, got: str, fix: str) -> InputError:
    return InputError(f"weights {path}: {name}", expected="a plain tensor", got=got, fix=fix)
