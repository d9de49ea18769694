"""Batches for training: pictures, some of them perturbed, with labels and weights."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ectool.artifacts.artifact import Artifact
from ectool.config import TrainConfig
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import to_pixels
from ectool.stages.inputs import check_images, positions
from ectool.training.loop import TrainingBatch
from ectool.training.schedule import epoch_order, shown_perturbed

Images = np.ndarray[Any, np.dtype[np.uint8]]
SCRATCH_FILE = "perturbed.npy"


class Feed:
    """Batches of a training split, read ahead while the model computes.

    Args:
        dataset: The clean pictures.
        config: Batch size, seed and the share of perturbed pictures.
        weights: A weight per sample, in the data set's order; 1 each where None.
        perturbed: Perturbed pictures in the data set's order, where there are any.
        device: Where batches go.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        *,
        weights: list[float] | None,
        perturbed: Images | None,
        device: torch.device,
    ) -> None:
        self.dataset = dataset
        self.config = config
        self.samples = len(dataset.sample_ids)
        self.weights = torch.ones(self.samples) if weights is None else torch.tensor(weights)
        self.labels = torch.tensor(dataset.labels)
        self.perturbed = perturbed
        self.device = device

    @property
    def steps(self) -> int:
        """Return the number of steps in an epoch; the last takes what is left."""
        return -(-self.samples // self.config.batch_size)

    def epoch(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield an epoch's batches; they depend on nothing but the inputs, seed and epoch."""
        seed, size = self.config.seed, self.config.batch_size
        order = epoch_order(self.samples, seed, epoch)
        swap = shown_perturbed(self.samples, seed, epoch, self.config.mix)
        parts = [order[first : first + size] for first in range(0, self.samples, size)]
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._read, parts[0], swap)
            for following in [*parts[1:], None]:
                batch = ahead.result()
                if following is not None:
                    ahead = reader.submit(self._read, following, swap)
                yield batch

    def _read(self, rows: Indices, swap: np.ndarray[Any, np.dtype[np.bool_]]) -> TrainingBatch:
        images = self.dataset.images(rows)
        if self.perturbed is not None:
            chosen = swap[rows]
            images = images.copy()
            images[chosen] = self.perturbed[rows[chosen]]
        return TrainingBatch(
            pixels=to_pixels(images, self.device),
            labels=self.labels[rows].to(self.device),
            weights=self.weights[rows].to(self.device),
        )


def perturbed_images(samples: Artifact, dataset: Dataset, folder: Path) -> Images:
    """Return the samples' pictures in the data set's order, in a memory-mapped scratch file.

    A samples artifact is compressed in whole shards, which training would decompress over and over.

    Raises:
        InputError: The samples miss a training sample, or have pictures of another kind.
    """
    where = f"--samples {samples.path}"
    check_images(samples, dataset, where)
    there = positions(
        list(dataset.sample_ids),
        samples.sample_ids,
        where,
        "perturb the whole training split",
    )
    images = np.lib.format.open_memmap(
        folder / SCRATCH_FILE, "w+", np.uint8, (len(there), *samples.arrays["image"].shape[1:])
    )
    for start, stop in samples.shards:
        inside = (start <= there) & (there < stop)
        images[inside] = samples.read("image", start, stop)[there[inside] - start]
    return images
