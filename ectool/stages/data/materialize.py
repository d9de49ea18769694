"""`data materialize`: a split as decoded uint8 images, which can be read fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import DataSource, Recipe
from ectool.artifacts.schema import Arrays
from ectool.config import REMOVAL_BASELINES, MaterializeConfig
from ectool.datasets.base import Annotations, Dataset, Indices, Labels, is_multilabel
from ectool.datasets.image_arrays import Reader
from ectool.errors import UsageError
from ectool.stages.common.inputs import artifact_parent, data_source, open_data, view_options
from ectool.stages.common.loop.batch_size import sized
from ectool.stages.common.outcomes import outcome_of
from ectool.stages.common.same_images import SELECTION, check_same_images
from ectool.stages.common.shards import is_done, map_shards
from ectool.types import SILENT, Outcome, Reporter

NO_CLASS = -1
"""Class of boxes that are padding."""
_ROWS = 1024

Objects = list[tuple[int, np.ndarray[Any, np.dtype[np.int64]]]]
"""Class and box of every object of an image."""


def run(config: MaterializeConfig, reporter: Reporter = SILENT) -> Outcome:
    """Write a split's view, labels, and masks or boxes as an images artifact.

    Masks are written for single-label data; multi-label data keep their boxes.

    Raises:
        InputError: The data set is missing or not valid, or heatmaps lack an image.
        UsageError: One of `remove` and `share` is missing.
        OutputExistsError: The output exists with another key and `force` is off.
    """
    if (config.remove is None) != (config.share is None):
        raise UsageError(
            "--remove and --share",
            expected="both of them, or none",
            got="one",
            fix="give both: the order of removal, and the share of the pixels",
        )
    options = view_options(config.uri, config)
    dataset = open_data(options, config.split, config.variant)
    source = data_source(options, config.split, dataset)
    recipe = Recipe(kind="pictures", stage="materialize", source=source, **_made_of(config, source))
    if is_done(config.output, config, recipe, reporter):
        return outcome_of(config.output, is_new=False)
    length = len(dataset.sample_ids)
    attributes = {"classes": list(dataset.classes)}
    work = CopyWork(dataset, _reader(config, dataset))
    config = sized(config, dataset.size)
    return map_shards(work, config, recipe, length, reporter, attributes)


def _made_of(config: MaterializeConfig, source: DataSource) -> dict[str, Any]:
    """Return options and inputs that determine the images; heatmaps are an input."""
    if config.remove in (None, *REMOVAL_BASELINES):
        return {"config": {**config.keyed(), "remove": config.remove}}
    with Artifact(Path(str(config.remove)), "heatmaps") as heatmaps:
        check_same_images(heatmaps, source, f"--remove {config.remove}", SELECTION | {"size"})
        parent = artifact_parent("heatmaps", heatmaps, config.output)
    return {"config": {**config.keyed(), "remove": parent.role}, "parents": (parent,)}


def _reader(config: MaterializeConfig, dataset: Dataset) -> Reader:
    """Return the reader of the images; with `remove`, without their most relevant pixels."""
    if config.remove is None or config.share is None:
        return dataset.images
    from ectool.stages.data.removal import RemovedPixels, relevance_of

    relevance = relevance_of(config.remove, dataset, config.data_seed)
    return RemovedPixels(dataset, relevance, config.share)


@dataclass(frozen=True)
class Batch:
    """A batch of samples of a data set."""

    sample_ids: list[str]
    labels: Labels
    images: np.ndarray[Any, np.dtype[np.uint8]]
    masks: np.ndarray[Any, np.dtype[np.bool_]] | None
    objects: list[Objects] | None


class CopyWork:
    """Copies batches of a data set; see `shards.Work`.

    Args:
        dataset: The images.
        read: Returns images by rows.
    """

    def __init__(self, dataset: Dataset, read: Reader) -> None:
        self.dataset = dataset
        self.read = read
        self.many = is_multilabel(dataset.labels)
        first = dataset.annotations(np.arange(1))
        self.has_masks = first.masks is not None and not self.many
        self.has_boxes = first.boxes is not None and not self.has_masks
        self.max_objects = self._count_objects() if self.has_boxes else 0

    def _count_objects(self) -> int:
        """Return the maximum number of objects in an image, at least 1."""
        rows = np.arange(len(self.dataset.sample_ids))
        parts = [rows[start : start + _ROWS] for start in range(0, len(rows), _ROWS)]
        return max(1, *(len(o) for part in parts for o in objects_of(self.dataset, part)))

    def load(self, rows: Indices) -> Batch:
        """Read images and annotations."""
        found = self.dataset.annotations(rows) if self.has_masks else Annotations()
        return Batch(
            sample_ids=[self.dataset.sample_ids[row] for row in rows],
            labels=self.dataset.labels[rows],
            images=self.read(rows),
            masks=found.masks,
            objects=list(objects_of(self.dataset, rows)) if self.has_boxes else None,
        )

    def compute(self, batch: Batch) -> Arrays:
        """Return the batch as arrays."""
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "sample_id": np.array(batch.sample_ids, dtype=np.dtypes.StringDType()),
            "label": np.asarray(batch.labels),
            "image": batch.images,
        }
        if batch.masks is not None:
            arrays["mask"] = batch.masks
        if batch.objects is not None:
            arrays |= self._boxes(batch.objects)
        return arrays

    def _boxes(self, objects: list[Objects]) -> Arrays:
        """Pad the boxes to rows of one length."""
        boxes = np.zeros((len(objects), self.max_objects, 4), np.int64)
        classes = np.full((len(objects), self.max_objects), NO_CLASS, np.int64)
        for row, found in enumerate(objects):
            for place, (name, box) in enumerate(found):
                boxes[row, place], classes[row, place] = box, name
        return {"box": boxes, "box_class": classes}

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Return no findings."""
        return {}


def objects_of(dataset: Dataset, rows: Indices) -> Iterator[Objects]:
    """Yield class and box of every object of each image."""
    labels = dataset.labels[rows]
    if not is_multilabel(labels):
        boxes = dataset.annotations(rows).boxes or []
        yield from (
            [(int(label), box) for box in each] for label, each in zip(labels, boxes, strict=True)
        )
        return
    samples, classes = np.nonzero(labels == 1)
    boxes = dataset.annotations(rows[samples], classes).boxes or []
    found: list[Objects] = [[] for _ in rows]
    for sample, name, each in zip(samples, classes, boxes, strict=True):
        found[sample] += [(int(name), box) for box in each]
    yield from found
