"""Batches: samples with their images, their target classes, and batches to attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks.ball import BALLS, Ball, take
from ectool.attacks.monitor import AttackMonitor
from ectool.datasets.base import Dataset, Indices, Labels, is_multilabel
from ectool.datasets.labels import most_positives, positives
from ectool.models.transfer import pinned, to_device

Images = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Samples:
    """Ids and labels of some samples."""

    sample_ids: list[str]
    labels: Labels

    @property
    def columns(self) -> Arrays:
        """Return the arrays that every artifact has: ids and labels."""
        return {
            "sample_id": np.array(self.sample_ids, dtype=np.dtypes.StringDType()),
            "label": self.labels,
        }

    def take(self, rows: Indices) -> Samples:
        """Return some of the samples."""
        return Samples([self.sample_ids[row] for row in rows], self.labels[rows])


@dataclass(frozen=True)
class ImageBatch(Samples):
    """Some samples and their images."""

    images: Images


@dataclass(frozen=True)
class AttackBatch:
    """A batch to attack, on the device of the model.

    Attributes:
        sample_ids: Identifiers, the keys of random numbers.
        pixels: Clean images in [0, 1].
        labels: True labels.
        weight: Share of the radius at each pixel; 0 where nothing may change.
        logits: Logits of the clean images.
        monitor: Records the gradients and losses of the attack.
        start: Perturbed images of an earlier round to start from, 0 to 255.
    """

    sample_ids: list[str]
    pixels: Tensor
    labels: Tensor
    weight: Tensor
    logits: Tensor
    monitor: AttackMonitor
    start: Tensor | None = None

    @classmethod
    def of(
        cls,
        samples: Samples,
        pixels: Tensor,
        weight: Tensor,
        logits: Tensor,
        start: Tensor | None = None,
    ) -> AttackBatch:
        """Return the batch of some samples, with a new monitor."""
        labels = to_device(samples.labels, pixels.device)
        monitor = AttackMonitor.of(len(pixels), pixels.device)
        return cls(samples.sample_ids, pixels, labels, weight, logits, monitor, start)

    def take(self, rows: Tensor) -> AttackBatch:
        """Return some of the samples, with a new monitor."""
        return AttackBatch(
            sample_ids=[self.sample_ids[row] for row in rows.tolist()],
            pixels=take(self.pixels, rows),
            labels=self.labels[rows],
            weight=self.weight[rows],
            logits=self.logits[rows],
            monitor=AttackMonitor.of(len(rows), self.pixels.device),
            start=None if self.start is None else self.start[rows],
        )

    def ball(self, norm: str, eps: float) -> Ball:
        """Return the perturbed images that are allowed."""
        return BALLS[norm].around(self.pixels, self.weight, eps)


class LabelledImages:
    """Images of a data set, and their true classes as targets of heatmaps.

    Args:
        dataset: The images.
        device: Device of the targets.
    """

    def __init__(self, dataset: Dataset, device: torch.device) -> None:
        self.dataset = dataset
        self.device = device
        many = is_multilabel(dataset.labels)
        self.width = most_positives(dataset.labels) if many else None

    def load(self, rows: Indices) -> ImageBatch:
        """Read samples."""
        return ImageBatch(
            sample_ids=[self.dataset.sample_ids[row] for row in rows],
            labels=self.dataset.labels[rows],
            images=pinned(self.dataset.images(rows), self.device),
        )

    def targets(self, batch: Samples) -> Tensor:
        """Return the true classes: one per image, or a row per image of multi-label data."""
        rows = batch.labels if self.width is None else positives(batch.labels, self.width)
        return to_device(rows, self.device)
