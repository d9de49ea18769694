"""The plan of a command: its parts, with outputs and estimated times."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ectool.artifacts.manifest import Recipe
from ectool.artifacts.partial import PartialArtifact
from ectool.artifacts.store import read_manifest
from ectool.options import duration

DONE = "up to date"
REPLACED = "replaces another one, which is moved aside"
START = "start and results"
"""Name of the part for imports, loading the model, and results."""


@dataclass(frozen=True)
class Step:
    """A part of a command.

    Attributes:
        name: Its name.
        output: Where its result would go.
        state: `new`, `up to date`, or what is left.
        samples: Number of images that are left.
        batches: Number of batches of them.
        seconds: Estimated time.
    """

    name: str
    output: Path
    state: str
    samples: int
    batches: int
    seconds: float

    def row(self) -> dict[str, Any]:
        """Return the part as JSON values."""
        return {
            "state": self.state,
            "images": self.samples,
            "batches": self.batches,
            "seconds": math.ceil(self.seconds),
            "output": str(self.output),
        }


def document(output: Path, steps: Iterable[Step]) -> dict[str, Any]:
    """Return a plan as JSON values."""
    found = list(steps)
    seconds = sum(step.seconds for step in found)
    return {
        "output": str(output),
        "up_to_date": all(step.state == DONE for step in found),
        "seconds": math.ceil(seconds),
        "time": duration(seconds),
        "parts": {step.name: step.row() for step in found},
    }


def state_of(output: Path, recipe: Recipe, length: int, shard_size: int) -> tuple[str, int]:
    """Return the state of an array artifact, and how many samples are left."""
    if output.exists():
        manifest = read_manifest(output)
        if manifest is not None and manifest.key == recipe.key:
            return DONE, 0
        return REPLACED, length
    partial = PartialArtifact(output, recipe, length, shard_size, {})
    left = sum(partial.ranges[n][1] - partial.ranges[n][0] for n in partial.missing())
    return ("new" if left == length else f"{left} of {length} images left"), left


def batches_of(samples: int, size: int) -> int:
    """Return the number of batches."""
    return -(-samples // size)
