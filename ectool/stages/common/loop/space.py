"""Free space on the disk, compared before a stage starts with what it is going to write."""

from __future__ import annotations

import math
import os
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
from ectool.config.parts import Part
from ectool.config.perturb import IMAGES
from ectool.datasets.base import Dataset
from ectool.errors import MachineError
from ectool.types import Reporter

if TYPE_CHECKING:  # importing torch takes seconds
    import torch

CHANNELS = 3
NUMBER = 4
"""Bytes of a float32."""
TEXT = 64
"""Bytes of the id and the label of a sample, about."""
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


def images_need(dataset: Dataset, partial: PartialArtifact, part: Part | None, store: str) -> Need:
    """Return what the missing images of an artifact need, with masks and two rows of logits.

    Args:
        dataset: The data set.
        partial: The unfinished artifact.
        part: The part that this job writes; None for everything.
        store: How `perturb` stores images: whole ones are not compressed.
    """
    height, width = dataset.size
    pixels = CHANNELS * height * width
    row = pixels + height * width + 2 * NUMBER * len(dataset.classes) + TEXT
    copies = 2 if partial.output.suffix in HDF5_SUFFIXES and part is None else 1
    rows = rows_left(partial, part)
    return Need(rows * pixels if store == IMAGES else 0, rows * row * copies)


def rows_left(partial: PartialArtifact, part: Part | None) -> int:
    """Return the number of rows that are not written yet."""
    wanted = range(len(partial.ranges)) if part is None else part.of(len(partial.ranges))
    missing = (partial.ranges[number] for number in partial.missing() if number in wanted)
    return sum(stop - start for start, stop in missing)


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
