"""Exported programs: ``exported:FILE``, which ``torch.export.save`` wrote."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from ectool.models.checkpoints.files import check_contents
from ectool.models.sources.base import Defaults, Size
from ectool.models.sources.program import Program, checked, readable

_NO_PICKLE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_CONTENT = ("/archive_format", "serialized_exported_program.json")
"""A file of each program, the second in those of torch before 2.8."""
_COMPILED_CODE = "/data/aotinductor/"


def defaults(path: str) -> Defaults:
    """Return the normalisation of ImageNet, and the size and number of classes of the program.

    Raises:
        InputError: It cannot be read.
    """
    program = _load(path)
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    signature = program.graph_signature
    (images, *_), (logits, *_) = signature.user_inputs, signature.user_outputs
    size, classes = _fixed(values[images], 2), _fixed(values[logits], 1)
    return Defaults(
        input_size=(size[0], size[1]) if len(size) == 2 else Defaults.input_size,
        classes=classes[0] if classes else None,
    )


def network(path: str, classes: int, size: Size) -> nn.Module:
    """Load an exported program.

    ``torch.export.load`` unpickles Python objects where the file contains some, which could run
    any code. Here only tensors are unpickled: files with other objects are refused, and so are
    files with machine code. But the file is still a program whose code runs. Do not load files
    from people you do not trust.

    Args:
        path: The file.
        classes: Number of logits it must return.
        size: (height, width) of the images.

    Returns:
        The network, on the device it was exported on.

    Raises:
        InputError: It cannot be read, or does not take batches of such images.

    Cost: three forward passes and one backward pass of at most three images.
    """
    return checked(Program(_load(path).module()), f"exported:{path}", classes, size)


def _fixed(value: object, first: int) -> list[int]:
    """Return the fixed sides of a recorded tensor from an axis on, without dynamic ones."""
    shape = getattr(value, "shape", ())
    return [side for side in shape[first:] if isinstance(side, int)]


def _load(path: str) -> torch.export.ExportedProgram:
    with readable(path, "exported", "torch.export.save"), _tensors_only(), _without_log():
        # Checked first, because torch logs a traceback for files of other kinds.
        names = check_contents(Path(path))
        if not any(name.endswith(_CONTENT) for name in names):
            raise ValueError("no program inside")
        if any(_COMPILED_CODE in name for name in names):
            raise ValueError("machine code inside")
        return torch.export.load(path)


@contextmanager
def _without_log() -> Iterator[None]:
    """Let torch not print the traceback of an error that it raises as well."""
    log = logging.getLogger("torch.export")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Let torch unpickle only tensors; `torch.export.load` has no argument for this."""
    before = os.environ.get(_NO_PICKLE)
    os.environ[_NO_PICKLE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_PICKLE]
        else:
            os.environ[_NO_PICKLE] = before
