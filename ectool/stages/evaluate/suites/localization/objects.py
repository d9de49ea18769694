"""Heatmaps with the annotations of their objects, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.datasets.base import Annotations, Dataset
from ectool.metrics.localization import filled_boxes

ROWS = 512
"""Samples per block."""


@dataclass(frozen=True)
class HeatmapBlock:
    """Heatmaps of consecutive samples, one for each explained label, with annotations.

    Attributes:
        start: First sample.
        count: Number of samples.
        samples: Index of the sample of each heatmap, from 0.
        maps: Raw heatmaps, float32.
        annotations: Annotations of the objects of the class of each heatmap.
        has_other_class: Whether the image of each heatmap shows an object of another class; None
            for single-label data, where this is unknown.
        size: (height, width) of the images.
    """

    start: int
    count: int
    samples: np.ndarray[Any, np.dtype[np.int64]]
    maps: np.ndarray[Any, np.dtype[np.float32]]
    annotations: Annotations
    has_other_class: np.ndarray[Any, np.dtype[np.bool_]] | None
    size: tuple[int, int]

    @property
    def boxes(self) -> list[np.ndarray[Any, np.dtype[np.int64]]] | None:
        """Return the boxes of the objects of each heatmap; None without annotated boxes."""
        if len(self.samples) == 0:
            return []
        return None if self.annotations.boxes is None else list(self.annotations.boxes)

    @property
    def masks(self) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Return the object masks: annotated masks, else filled boxes, else None."""
        return self.filled_boxes if self.annotations.masks is None else self.annotations.masks

    @property
    def filled_boxes(self) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Return the pixels in any box of the objects of each heatmap; None without boxes."""
        return None if self.boxes is None else filled_boxes(self.boxes, self.size)


def first_annotations(dataset: Dataset) -> Annotations:
    """Return the annotations of the first sample, which tell which kinds the data set has."""
    first = np.arange(1)
    targets = None if dataset.labels.ndim == 1 else dataset.labels[first].argmax(axis=1)
    return dataset.annotations(first, targets)


def blocks(heatmaps: Artifact, dataset: Dataset) -> Iterator[HeatmapBlock]:
    """Yield all heatmaps of the clean images with the annotations of their objects.

    Args:
        heatmaps: Heatmaps of all samples of the data set, in its order.
        dataset: The images.
    """
    for start in range(0, len(heatmaps), ROWS):
        stop = min(start + ROWS, len(heatmaps))
        rows = np.arange(start, stop)
        maps = heatmaps.read("clean", start, stop).astype(np.float32)
        targets = heatmaps.read("target", start, stop).astype(np.int64)
        samples, chosen, others = rows - start, None, None
        if targets.ndim == 2:
            is_explained = targets >= 0
            samples, maps = np.nonzero(is_explained)[0], maps[is_explained]
            chosen = targets[is_explained]
            others = (dataset.labels[rows] == 1).sum(axis=1)[samples] > 1
        annotations = dataset.annotations(rows[samples], chosen)
        yield HeatmapBlock(start, len(rows), samples, maps, annotations, others, dataset.size)
