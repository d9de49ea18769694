"""Free space on the disk, compared before a stage starts with what it is going to write."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.partial import PartialArtifact
from ectool.artifacts.schema import spec_of
from ectool.artifacts.store import HDF5_SUFFIXES
from ectool.config.groups import ForceOptions
from ectool.errors import MachineError
from ectool.types import Reporter

if TYPE_CHECKING:  # importing torch takes seconds
    import torch

    from ectool.models.transfer import Column, Columns

TEXT = 64
"""Bytes of a text, such as the id of a sample, about."""
STATES = {"SGD": 1, "AdamW": 2}
"""Tensors that an optimizer keeps for each parameter."""
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
STEP = 1000


@dataclass(frozen=True)
class Need:
    """Bytes that a stage writes.

    Attributes:
        certain: Those that no compression makes fewer.
        possible: Those of data that cannot be compressed.
    """

    certain: int
    possible: int


def rows_need(columns: Columns, rows: int, partial: PartialArtifact, *, is_part: bool) -> Need:
    """Return what the missing rows of an artifact need.

    Args:
        columns: Its arrays for some rows, before compression.
        rows: Number of missing rows.
        partial: The unfinished artifact.
        is_part: Whether a job of an array writes them, which makes no HDF5 file at the end.
    """
    known = len(next(iter(columns.values())))
    sizes = {name: _bytes(values) / known for name, values in columns.items()}
    kind, is_hdf5 = partial.recipe.kind, partial.output.suffix in HDF5_SUFFIXES
    raw = sum(size for name, size in sizes.items() if _is_raw(kind, name))
    copies = 2 if is_hdf5 and not is_part else 1
    return Need(round(rows * raw), round(rows * sum(sizes.values()) * copies))


def _bytes(values: Column) -> int:
    if isinstance(values, np.ndarray) and values.dtype.kind == "T":
        return values.size * TEXT
    return int(values.nbytes)


def model_need(optimizer: torch.optim.Optimizer, checkpoints: int) -> Need:
    """Return what checkpoints of a training need; safetensors are not compressed.

    Args:
        optimizer: The optimizer, with all parameters of the model.
        checkpoints: How many are on the disk at the same time.
    """
    states = 1 + STATES.get(type(optimizer).__name__, 0)
    whole = sum(
        one.nbytes * (states if one.requires_grad else 1)
        for group in optimizer.param_groups
        for one in group["params"]
    )
    return Need(whole * checkpoints, whole * checkpoints)


def weights_need(model: torch.nn.Module) -> Need:
    """Return what the weights of a model need; safetensors are not compressed."""
    size = sum(values.nbytes for values in model.state_dict().values())
    return Need(size, size)


def merge_need(partial: PartialArtifact) -> Need:
    """Return what publishing an unfinished artifact needs: Zarr is renamed, HDF5 a copy."""
    if partial.output.suffix not in HDF5_SUFFIXES:
        return Need(0, 0)
    stored = (path.stat().st_size for path in partial.store.rglob("*") if path.is_file())
    return Need(0, sum(stored))


def copy_need(artifact: Artifact, target: Path) -> Need:
    """Return what a copy of an artifact needs."""
    sizes = {
        name: math.prod(info.shape) * (TEXT if info.kind == "T" else np.dtype(info.dtype).itemsize)
        for name, info in artifact.arrays.items()
    }
    is_zarr = target.suffix not in HDF5_SUFFIXES
    raw = [size for name, size in sizes.items() if is_zarr and _is_raw(artifact.kind, name)]
    return Need(sum(raw), sum(sizes.values()))


def _is_raw(kind: str, name: str) -> bool:
    spec = spec_of(kind, name)
    return spec is not None and spec.raw


def check_space(output: Path, options: ForceOptions, need: Need, reporter: Reporter) -> None:
    """Compare the free space with what a stage needs; warn where compression decides.

    Args:
        output: What it writes; nothing is known of the space of an address.
        options: With `check_space`.
        need: The bytes.
        reporter: Receives the warning.

    Raises:
        MachineError: The space is certainly too small.
    """
    if not options.check_space or urls.url_of(output) is not None:
        return
    folder = _existing(output)
    free = free_space(folder)
    if need.certain > free:
        raise MachineError(
            str(output),
            expected=f"at least {in_units(need.certain)} of free space in {folder}",
            got=in_units(free),
            fix="free some, choose another output, or go on anyway with --no-check-space",
        )
    if need.possible > free:
        reporter.warn(
            f"{output}: {in_units(free)} are free in {folder}, and up to "
            f"{in_units(need.possible)} are written; if the disk becomes full, free some and "
            "run the same command again"
        )


def space_checked(
    partials: Sequence[PartialArtifact],
    rows: int,
    options: ForceOptions,
    reporter: Reporter,
    *,
    is_part: bool = False,
) -> Callable[[Sequence[Columns]], None]:
    """Return a function that compares the free space when it sees the arrays of the first batch.

    Args:
        partials: The unfinished artifacts that are looked at.
        rows: Number of their missing rows.
        options: With `check_space`.
        reporter: Receives a warning where compression decides.
        is_part: Whether a job of an array writes them.
    """

    def look(found: Sequence[Columns]) -> None:
        for partial, columns in zip(partials, found, strict=False):
            need = rows_need(columns, rows, partial, is_part=is_part)
            check_space(partial.output, options, need, reporter)

    return look


def _existing(output: Path) -> Path:
    """Return the innermost folder of an output that exists."""
    return next(folder for folder in output.absolute().parents if folder.exists())


def free_space(folder: Path) -> int:
    """Return the bytes that this user can still write in a folder."""
    found = os.statvfs(folder)
    blocks = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    return blocks * found.f_frsize


def in_units(size: float) -> str:
    """Return a number of bytes in the unit that fits, e.g. `3.2 GB`."""
    for unit in UNITS:
        if size < STEP or unit == UNITS[-1]:
            return f"{size:.3g} {unit}"
        size /= STEP
    raise AssertionError
