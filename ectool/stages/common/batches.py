"""Images of a data set batch by batch, with the classes whose heatmaps are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.datasets.base import Dataset, Indices, Labels, is_multilabel
from ectool.datasets.labels import most_positives, positives

Images = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Samples:
    """Who a few samples are."""

    sample_ids: list[str]
    labels: Labels

    @property
    def columns(self) -> Arrays:
        """Return what every artifact says of its samples."""
        return {
            "sample_id": np.array(self.sample_ids, dtype=np.dtypes.StringDType()),
            "label": self.labels,
        }


@dataclass(frozen=True)
class Batch(Samples):
    """A few samples and their images."""

    images: Images


class LabelledImages:
    """Reads batches, and tells which classes are explained: the true ones.

    Args:
        dataset: The images.
        device: Where the classes go.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        many = is_multilabel(dataset.labels)
        self.width = most_positives(dataset.labels) if many else None

    def load(self, rows: Indices) -> Batch:
        """Read samples."""
        return Batch(
            sample_ids=[self.dataset.sample_ids[row] for row in rows],
            labels=self.dataset.labels[rows],
            images=self.dataset.images(rows),
        )

    def targets(self, batch: Samples) -> Tensor:
        """Return the true classes: one each, or of multi-label data a row each."""
        rows = batch.labels if self.width is None else positives(batch.labels, self.width)
        return torch.from_numpy(rows).to(self.device)
