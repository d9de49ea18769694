"""TorchScript: ``torchscript:FILE``, a program that ``torch.jit.save`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from zipfile import is_zipfile

import torch
from torch import nn

from ectool.models.checkpoints.files import check_contents
from ectool.models.sources.base import Defaults, Size
from ectool.models.sources.program import Program, checked, readable


def defaults(_path: str) -> Defaults:
    """Return the size and normalisation of ImageNet: a TorchScript file records neither."""
    return Defaults()


def network(path: str, classes: int, size: Size) -> nn.Module:
    """Load a TorchScript program.

    ``torch.jit.load`` reads the file in C++ and unpickles no Python objects. But the file is a
    program: its code runs, and may read and write files. Do not load files from people you do not
    trust.

    Args:
        path: The file.
        classes: Number of logits it must return.
        size: (height, width) of the images.

    Returns:
        The network, on the CPU.

    Raises:
        InputError: It cannot be read, or does not take batches of such images.

    Cost: three forward passes and one backward pass of at most three images.
    """
    with readable(path, "torchscript", "torch.jit.save"):
        if is_zipfile(path):
            check_contents(Path(path))
        program = Program(cast(Any, torch.jit).load(path, map_location="cpu").eval())
    return checked(program, f"torchscript:{path}", classes, size)
