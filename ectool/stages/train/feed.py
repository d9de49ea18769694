"""Training batches: images, augmented and partly perturbed, with labels and weights."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.config import TrainConfig
from ectool.config.objectives import NEEDS_GROUPS
from ectool.datasets.base import Dataset, Framing, Indices
from ectool.datasets.image_arrays import Reader, framed
from ectool.datasets.labels import shuffled
from ectool.datasets.perturbed_images import PerturbedImages
from ectool.datasets.views import Box
from ectool.distributed.group import Group
from ectool.models.classifier import to_pixels
from ectool.models.transfer import to_device
from ectool.stages.common.inputs import check_same_labels, positions
from ectool.stages.common.loop.read_ahead import read_ahead, workers_of
from ectool.training.augmentation import Augmentation
from ectool.training.batch import TrainingBatch
from ectool.training.ranks.part import Part
from ectool.training.ranks.ranks import ALONE, Ranks
from ectool.training.schedule import (
    batch_count,
    epoch_order,
    shown_perturbed,
    split_evenly,
)

SCRATCH_FILE = "perturbed.npy"
READ_AHEAD = 3
"""Batches that are read before they are needed."""


class Feed:
    """Batches of a training split, read ahead while the model computes.

    Args:
        dataset: The clean images.
        config: Batch size, seed and the share of perturbed images.
        weights: A weight per sample, in the order of the data set; 1 each where None.
        perturbed: Reader of perturbed images by rows of the data set; None for clean images only.
        device: Device of the batches.
        ranks: The processes that train together; this one gets its part of each batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        *,
        weights: list[float] | None,
        perturbed: Reader | None,
        device: torch.device,
        ranks: Ranks = ALONE,
    ) -> None:
        self.dataset = dataset
        self.ranks = ranks
        self.config = config
        self.samples = len(dataset.sample_ids)
        self.weights = torch.ones(self.samples) if weights is None else torch.tensor(weights)
        labels = dataset.labels
        self.labels = torch.tensor(
            shuffled(labels, config.seed) if config.shuffle_labels else labels
        )
        self.perturbed = perturbed
        self.device = device
        self.augmentation = Augmentation(
            config.crop_scale, config.flip, config.rand_augment, config.seed
        )
        self.waited = 0.0
        """Total seconds that the model has waited for batches."""

    @property
    def steps(self) -> int:
        """Return the number of steps in an epoch."""
        return batch_count(self.samples, self.config.batch_size)

    @property
    def groups(self) -> Int64[Tensor, "n"] | None:
        """Return the group of each sample; None where the objective needs none."""
        groups = self.dataset.groups if self.config.objective in NEEDS_GROUPS else None
        return None if groups is None else torch.from_numpy(groups.of_samples).to(self.device)

    def epoch(self, epoch: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch, or this rank's parts of them.

        The batches of all ranks together depend on inputs, seed and epoch only.
        """
        seed = self.config.seed
        order = epoch_order(self.samples, seed, epoch)
        swap = shown_perturbed(self.samples, seed, epoch, self.config.mix)
        parts = split_evenly(order, self.config.batch_size)
        read = functools.partial(self._read, swap=swap, epoch=epoch)
        workers = workers_of(self.config, self.device.type)
        batches = read_ahead(read, parts, workers=workers, ahead=READ_AHEAD)
        start = time.perf_counter()
        for batch in batches:
            self.waited += time.perf_counter() - start
            yield batch
            start = time.perf_counter()

    def in_order(self) -> Iterator[TrainingBatch]:
        """Yield the clean images in the order of the data set, not augmented."""
        for batch in split_evenly(np.arange(self.samples), self.config.batch_size):
            rows, part = self.ranks.part_of(batch)
            yield self._batch(rows, self.dataset.images(rows), part)

    def _read(
        self, batch: Indices, swap: np.ndarray[Any, np.dtype[np.bool_]], epoch: int
    ) -> TrainingBatch:
        rows, part = self.ranks.part_of(batch)
        framing = self._framing(epoch)
        images = self.dataset.images(rows, framing)
        if self.perturbed is not None:
            chosen = swap[rows]
            images = images.copy()
            views = self.perturbed(rows[chosen])
            images[chosen] = views if framing is None else framed(views, rows[chosen], framing)
        ids = [self.dataset.sample_ids[row] for row in rows]
        return self._batch(rows, self.augmentation.alter(images, ids, epoch), part)

    def _batch(
        self, rows: Indices, images: UInt8[np.ndarray, "n 3 h w"], part: Part
    ) -> TrainingBatch:
        return TrainingBatch(
            pixels=to_pixels(images, self.device),
            labels=to_device(self.labels[rows], self.device),
            weights=to_device(self.weights[rows], self.device),
            rows=to_device(rows, self.device),
            share=len(rows) * self.steps / self.samples,
            part=part,
        )

    def _framing(self, epoch: int) -> Framing | None:
        """Return the crop of each image in an epoch; None for the view of all stages."""
        if self.augmentation.crop_scale is None:
            return None

        def frame(index: int, width: int, height: int) -> Box:
            return self.augmentation.box(self.dataset.sample_ids[index], epoch, width, height)

        return frame


def _laid_out(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Return a new array in a file with reserved space; a full disk would crash a mapped file."""
    images = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return images


def perturbed_images(samples: Artifact, dataset: Dataset, folder: Path, group: Group) -> Reader:
    """Return a reader of the images of samples by rows of the data set.

    Images that are compressed in whole shards are copied to a memory-mapped scratch file first:
    otherwise training would decompress a whole shard for each image. The first process copies them
    for all.

    Raises:
        InputError: The samples miss a training sample, or have images of another kind.
    """
    where = f"--samples {samples.path}"
    images = PerturbedImages(samples, dataset, where)
    there = positions(
        list(dataset.sample_ids),
        samples.sample_ids,
        where,
        "perturb the whole training split",
    )
    check_same_labels(samples, dataset, (there, np.arange(len(there))))

    def read(rows: Indices) -> UInt8[np.ndarray, "n 3 h w"]:
        return images(there[rows], lambda: dataset.images(rows))

    if images.is_quick:
        return read
    if group.world.is_first:
        laid_out = _laid_out(folder / SCRATCH_FILE, (len(there), 3, *dataset.size))
        for start, stop in samples.shards:
            inside = np.flatnonzero((start <= there) & (there < stop))
            laid_out[inside] = read(inside)
        laid_out.flush()
    group.barrier()
    mapped = np.load(folder / SCRATCH_FILE, mmap_mode="r")
    return lambda rows: mapped[rows]
