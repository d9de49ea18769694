"""Images without their most relevant pixels, to train new networks on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.config import REMOVAL_BASELINES
from ectool.datasets.base import Dataset, Indices
from ectool.errors import InputError
from ectool.faithfulness.baselines import centre_map, random_maps
from ectool.faithfulness.regions import pixel_ranks
from ectool.stages.common.inputs import positions

ROWS = 256
"""Images read at a time."""

Maps = Callable[[Indices], Tensor]


class RemovedPixels:
    """Reads images whose most relevant pixels have the mean colour of the data set.

    Removal of Hooker et al. 2019, https://arxiv.org/abs/1806.10758: in every image, the same share
    of the pixels gets the mean colour of all images of the split. The split is read once more to
    compute that colour.

    Args:
        dataset: The images.
        maps: Returns the relevance of the pixels by rows, at any resolution.
        share: Share of the pixels to remove, 0 to 1.
    """

    def __init__(self, dataset: Dataset, maps: Maps, share: float) -> None:
        self.dataset = dataset
        self.maps = maps
        self.count = round(share * dataset.size[0] * dataset.size[1])
        self.colour = mean_colour(dataset)

    def __call__(self, rows: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return images by their rows."""
        removed = (pixel_ranks(self.maps(rows), self.dataset.size) < self.count).numpy()
        colour = self.colour[:, None, None]
        return np.where(removed[:, None], colour, self.dataset.images(rows))


def mean_colour(dataset: Dataset) -> UInt8[np.ndarray, "3"]:
    """Return the mean of each channel over all images, rounded to whole levels."""
    total, count = np.zeros(3, np.int64), len(dataset.sample_ids)
    for start in range(0, count, ROWS):
        images = dataset.images(np.arange(start, min(start + ROWS, count)))
        total += images.sum(axis=(0, 2, 3), dtype=np.int64)
    mean = total / (count * dataset.size[0] * dataset.size[1])
    return np.rint(mean).astype(np.uint8)


def relevance_of(order: str, dataset: Dataset, seed: int) -> Maps:
    """Return a function that returns the relevance of pixels by rows.

    Args:
        order: `random`, `centre`, or the path of a heatmaps artifact.
        dataset: The images.
        seed: Seed of random relevance.

    Raises:
        InputError: The heatmaps lack an image, or have several maps for each.
    """
    random, centre = REMOVAL_BASELINES
    if order == centre:
        one = centre_map(dataset.size)
        return lambda rows: one.expand(len(rows), -1, -1)
    if order == random:
        ids = dataset.sample_ids
        return lambda rows: random_maps([ids[row] for row in rows], seed, dataset.size)
    return _maps_of(Artifact(Path(order), "heatmaps"), dataset)


def _maps_of(heatmaps: Artifact, dataset: Dataset) -> Maps:
    where = f"--remove {heatmaps.path}"
    shape: tuple[Any, ...] = heatmaps.arrays["clean"].shape
    if len(shape) != 3:
        raise InputError(
            where,
            expected="one heatmap for each image",
            got=f"several labels of each, shape {shape}",
            fix="take a data set of one label each",
        )
    fix = "explain the same --split and --limit of the data set"
    there = positions(list(dataset.sample_ids), heatmaps.sample_ids, where, fix)
    return lambda rows: torch.from_numpy(heatmaps.take("clean", there[rows]))
