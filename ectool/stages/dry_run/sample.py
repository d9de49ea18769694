"""The sample of images that a stage is timed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ectool.datasets.base import Dataset

PIXELS = 2**17
"""Pixels of a timed batch: with fewer, its overhead would count; with more, timing takes longer."""
BATCHES = 3


@dataclass(frozen=True)
class Sample:
    """Options of a stage on a sample.

    Attributes:
        batch_size: Images of a batch.
        limit: Number of images.
    """

    batch_size: int
    limit: int

    @classmethod
    def of(cls, dataset: Dataset, batch_size: int) -> Sample:
        """Return a few batches of a data set, smaller ones for large images."""
        height, width = dataset.size
        size = max(2, min(batch_size, PIXELS // (height * width)))
        return cls(size, min(len(dataset.sample_ids), BATCHES * size))

    @property
    def options(self) -> dict[str, Any]:
        """Return the options as they override those of a stage."""
        return {"batch_size": self.batch_size, "limit": self.limit, "force": False}


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder, which is removed."""
    with TemporaryDirectory(prefix="ectool-dry-run-") as folder:
        yield Path(folder)
