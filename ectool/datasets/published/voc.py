"""PASCAL VOC 2007 and 2012 (Everingham et al., IJCV 2010, 2015): multi-label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Int8
from PIL import Image

from ectool.datasets.base import DataRequest, Dataset
from ectool.datasets.catalogue import Archive, DataSetEntry, missing_file, unknown_split
from ectool.datasets.image_files import ImageAnnotations, ImageFiles
from ectool.datasets.images import read_palette, read_size
from ectool.datasets.published.unpacked import Unpacked, find_unpacked
from ectool.datasets.published.voc_objects import CLASSES, annotation_of, read_objects
from ectool.datasets.sample_ids import repeated
from ectool.errors import AbsentError, InputError

VOID = 255
"""Index of borders and of objects that are difficult to recognise, in a map of classes."""
IMAGE_SETS = {
    "train": "Main/train",
    "validation": "Main/val",
    "train+validation": "Main/trainval",
    "test": "Main/test",
    "seg_train": "Segmentation/train",
    "seg_validation": "Segmentation/val",
    "seg_train+validation": "Segmentation/trainval",
    "seg_test": "Segmentation/test",
}
"""The list below ``ImageSets`` of each split."""

_FLAGS = {"1": 1, "-1": 0, "0": -1}
"""Labels by published flags: present, absent, only difficult objects."""


@dataclass(frozen=True)
class Release:
    """A year of the challenge.

    Attributes:
        year: The year.
        training: Archive of the training and validation images.
        test: Archive of the test images and labels, or None if the labels are not public.
    """

    year: str
    training: Archive
    test: Archive | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """Return the splits whose labels are public."""
        return tuple(s for s in IMAGE_SETS if self.test or not s.endswith("test"))


@dataclass(frozen=True)
class VocAnnotations:
    """Boxes of the objects without difficult ones, and the pixels of their classes.

    Attributes:
        unpacked: The data set's folder.
        sample_ids: Names of the images.
        has_masks: Whether the pixels are annotated as well.
    """

    unpacked: Unpacked
    sample_ids: Sequence[str]
    has_masks: bool

    @property
    def files(self) -> list[str]:
        """Return the files of annotations and, if used, of the maps of classes."""
        masks = [_mask_of(name) for name in self.sample_ids] if self.has_masks else []
        return [annotation_of(name) for name in self.sample_ids] + masks

    def read(self, index: int, target: int | None, max_pixels: int) -> ImageAnnotations:
        """Return the annotations of an image: of all objects, or of those of one class.

        Raises:
            InputError: A file is damaged, or a mask has another size than its image.
        """
        name = self.sample_ids[index]
        size = read_size(self.unpacked.folder / _image_of(name), max_pixels)
        objects = [o for o in read_objects(self.unpacked, name) if not o.is_difficult]
        boxes = [o.box for o in objects if target in (None, o.label)]
        for x0, y0, x1, y1 in boxes:
            if x0 >= size[0] or y0 >= size[1] or x1 <= 0 or y1 <= 0:
                got = f"{x0:g}, {y0:g} to {x1:g}, {y1:g}"
                expected = f"boxes in {size[0]} x {size[1]} pixels"
                raise self.unpacked.damaged(annotation_of(name), expected, got)
        mask = self._mask(name, target, size, max_pixels) if self.has_masks else None
        return ImageAnnotations(size, mask, np.array(boxes, np.float64).reshape(-1, 4))

    def _mask(
        self, name: str, target: int | None, size: tuple[int, int], max_pixels: int
    ) -> Image.Image:
        classes = read_palette(self.unpacked.folder / _mask_of(name), max_pixels)
        height, width = classes.shape
        if (width, height) != size:
            expected = f"{size[0]} x {size[1]} pixels, as its image has"
            raise self.unpacked.damaged(_mask_of(name), expected, f"{width} x {height}")
        is_object = (classes > 0) & (classes <= len(CLASSES))
        strange = classes[~is_object & (classes > 0) & (classes != VOID)]
        if strange.size:
            expected = f"class indices to {len(CLASSES)} and {VOID}"
            raise self.unpacked.damaged(_mask_of(name), expected, str(strange[0]))
        inside = is_object if target is None else classes == target + 1
        return Image.fromarray(inside.astype(np.uint8) * 255)


def open_voc(release: Release, request: DataRequest) -> Dataset:
    """Open one split of VOC.

    Labels are multi-label: 1 for a class that is present, 0 for one that is absent, and -1 for one
    whose objects are all marked difficult, which the challenge does not count. The splits
    ``train``, ``validation``, ``train+validation`` and (2007) ``test`` have boxes; those that
    begin with ``seg_`` are the images of the segmentation task, with masks as well.

    Args:
        release: The year.
        request: ``path`` (the folder VOC2007 or VOC2012, VOCdevkit, or its parent; ``root`` where
            empty), ``split``, ``view`` and ``root`` are used.

    Returns:
        The data set; sample ids are the names of the images, e.g. ``2008_000008``.

    Raises:
        InputError: A file is missing or damaged, or the split does not exist.
    """
    name = f"voc{release.year}"
    _check_split(name, release, request.split)
    archive = release.test if request.split.endswith("test") else release.training
    inside = ("VOCdevkit", f"VOC{release.year}")
    unpacked = find_unpacked(request, archive or release.training, inside, "JPEGImages")
    image_set = IMAGE_SETS[request.split]
    _check_there(unpacked, request.split)
    sample_ids = _read_ids(unpacked, image_set)
    has_masks = image_set.startswith("Segmentation")
    annotations = VocAnnotations(unpacked, sample_ids, has_masks)
    paths = [_image_of(sample_id) for sample_id in sample_ids]
    unpacked.require([*paths, *annotations.files])
    labels_of = annotated_labels if has_masks else partial(listed_labels, image_set=image_set)
    return ImageFiles(
        name=f"{name}/{request.split}",
        folder=unpacked.folder,
        paths=paths,
        sample_ids=sample_ids,
        labels=labels_of(unpacked, sample_ids),
        classes=CLASSES,
        view=request.view,
        root=request.root,
        facts={"data": name},
        annotation_reader=annotations,
    )


def _check_split(name: str, release: Release, split: str) -> None:
    if split in release.splits:
        return
    if split in IMAGE_SETS:
        raise AbsentError(
            f"split {split!r} of {name}",
            expected=f"one of {', '.join(release.splits)}",
            got="a split whose labels were never published",
            fix="choose one of them, or the test split of voc2007",
        )
    raise unknown_split(name, split, release.splits)


def _check_there(unpacked: Unpacked, split: str) -> None:
    """Check that a part of the release was unpacked; otherwise it is absent, not damaged."""
    is_test = split.endswith("test")
    lists = [name for one, name in IMAGE_SETS.items() if one.endswith("test") == is_test]
    files = [f"ImageSets/{name}.txt" for name in lists]
    if not any((unpacked.folder / file).exists() for file in files):
        first = unpacked.folder / f"ImageSets/{IMAGE_SETS[split]}.txt"
        raise missing_file(first, unpacked.archive, unpacked.place, others=False)


def _read_ids(unpacked: Unpacked, image_set: str) -> tuple[str, ...]:
    path = f"ImageSets/{image_set}.txt"
    names = tuple(row[0] for row in unpacked.rows(path))
    if twice := repeated(names):
        first, count = next(iter(twice.items()))
        got = f"{first} {count} times ({len(twice)} such images)"
        unpacked.report(unpacked.damaged(path, "every image once", got))
    return tuple(dict.fromkeys(names))


def listed_labels(
    unpacked: Unpacked, sample_ids: Sequence[str], image_set: str
) -> Int8[np.ndarray, "n c"]:
    """Return the labels in the lists of the classes.

    Args:
        unpacked: The data set's folder.
        sample_ids: Names of the images.
        image_set: Such as ``Main/train``.

    Raises:
        InputError: A list is missing, damaged, or of other images.
    """
    task, _, part = image_set.partition("/")
    labels = np.zeros((len(sample_ids), len(CLASSES)), np.int8)
    for label, name in enumerate(CLASSES):
        path = f"ImageSets/{task}/{name}_{part}.txt"
        try:
            labels[:, label] = _listed(unpacked, path, sample_ids, image_set)
        except InputError as fault:
            unpacked.report(fault)
    return labels


def _listed(unpacked: Unpacked, path: str, sample_ids: Sequence[str], image_set: str) -> list[int]:
    """Return the labels in the list of a class."""
    rows = unpacked.rows(path)
    flags = {row[0]: row[-1] for row in rows}
    whole = flags.keys() == set(sample_ids) and len(rows) == len(sample_ids)
    if not whole or not set(flags.values()) <= _FLAGS.keys():
        raise unpacked.damaged(path, f"1, 0 or -1 for each image of {image_set}", "others")
    return [_FLAGS[flags[sample_id]] for sample_id in sample_ids]


def annotated_labels(unpacked: Unpacked, sample_ids: Sequence[str]) -> Int8[np.ndarray, "n c"]:
    """Return the labels of the objects in the annotations, as in the lists.

    Images of the segmentation task need not be in a list of the classification task: those of
    2012 that come from 2007 are not.

    Raises:
        InputError: An annotation is damaged.
    """
    labels = np.zeros((len(sample_ids), len(CLASSES)), np.int8)
    for row, sample_id in zip(labels, sample_ids, strict=True):
        try:
            objects = read_objects(unpacked, sample_id)
        except InputError as fault:
            unpacked.report(fault)
            continue
        row[[o.label for o in objects if o.is_difficult]] = -1
        row[[o.label for o in objects if not o.is_difficult]] = 1
    return labels


def _image_of(sample_id: str) -> str:
    return f"JPEGImages/{sample_id}.jpg"


def _mask_of(sample_id: str) -> str:
    return f"SegmentationClass/{sample_id}.png"


def _entry(release: Release, summary: str) -> DataSetEntry:
    archives = (release.training, *([release.test] if release.test else []))
    return DataSetEntry(
        open=partial(open_voc, release),
        summary=summary,
        uri=f"voc{release.year}[:PATH]",
        splits=release.splits,
        archives=archives,
    )


VOC2007 = _entry(
    Release(
        "2007",
        training=Archive("VOCtrainval_06-Nov-2007.tar", "MD5 c52e279531787c972589f7e41ab4ae64"),
        test=Archive("VOCtest_06-Nov-2007.tar", "MD5 b6e924de25625d8de591ea690078ad9f"),
    ),
    "PASCAL VOC 2007: 20 classes, multi-label; 5,011 + 4,952 images, boxes, 632 masks.",
)
VOC2012 = _entry(
    Release(
        "2012",
        training=Archive("VOCtrainval_11-May-2012.tar", "MD5 6cd6e144f989b92b3379bac3b3de84fd"),
    ),
    "PASCAL VOC 2012: 20 classes, multi-label; 11,540 images, boxes, 2,913 masks.",
)
