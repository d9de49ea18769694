"""Caltech-UCSD Birds-200-2011 (Wah et al., CNS-TR-2011-001): boxes, parts and segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Float64, Int64
from PIL import Image

from ectool.datasets.base import DataRequest, Dataset
from ectool.datasets.catalogue import Archive, DataSetEntry, unknown_split
from ectool.datasets.image_files import ImageAnnotations, ImageFiles
from ectool.datasets.images import read_grey, read_size
from ectool.datasets.published.unpacked import Unpacked, find_unpacked
from ectool.datasets.splits import held_out_tenth
from ectool.errors import InputError

ARCHIVE = Archive("CUB_200_2011.tgz", "MD5 97eceeb196236b17998738112f37df78")
SEGMENTATIONS = Archive("segmentations.tgz", "MD5 4d47ba1228eae64f2fa547c47bc65255")
FOLDER = "CUB_200_2011"
SPLITS = ("train", "validation", "train+validation", "test")
MAJORITY = 128
"""Lowest grey level of pixels that at least half of the annotators assigned to the bird."""

Numbers = Float64[np.ndarray, "n"]

_IMAGES = "images.txt"
_CLASSES = "classes.txt"
_LABELS = "image_class_labels.txt"
_SPLIT = "train_test_split.txt"
_BOXES = "bounding_boxes.txt"
_PARTS = "parts/parts.txt"
_LOCATIONS = "parts/part_locs.txt"


@dataclass(frozen=True, eq=False)
class BirdAnnotations:
    """Box, parts and, if unpacked, segmentation of each bird.

    Attributes:
        unpacked: The data set's folder.
        sample_ids: Paths of the images below ``images``.
        boxes: (x0, y0, x1, y1) of each bird.
        parts: (x, y, visible) of each part of each bird, as published.
        segmentations: Folder of the segmentations relative to the data set's, or None.
    """

    unpacked: Unpacked
    sample_ids: Sequence[str]
    boxes: Float64[np.ndarray, "n 4"]
    parts: Float64[np.ndarray, "n p 3"]
    segmentations: str | None

    @property
    def files(self) -> list[str]:
        """Return the tables of boxes and parts, and the segmentations."""
        return [_BOXES, _PARTS, _LOCATIONS, *self.masks]

    @property
    def masks(self) -> list[str]:
        """Return the segmentations, if unpacked."""
        count = len(self.sample_ids) if self.segmentations else 0
        return [self._mask_of(index) for index in range(count)]

    def read(self, index: int, target: int | None, max_pixels: int) -> ImageAnnotations:  # noqa: ARG002 (one bird each)
        """Return an image's bird.

        Raises:
            InputError: The segmentation cannot be read or has another size than its image.
        """
        size = read_size(self.unpacked.folder / _image_of(self.sample_ids[index]), max_pixels)
        mask = self._mask(index, size, max_pixels) if self.segmentations else None
        left, top, right, bottom = self.boxes[index]
        if right <= max(left, 0) or bottom <= max(top, 0) or left >= size[0] or top >= size[1]:
            got = f"{left:g}, {top:g} to {right:g}, {bottom:g} of {self.sample_ids[index]}"
            raise self.unpacked.damaged(_BOXES, f"boxes in {size[0]} x {size[1]} pixels", got)
        return ImageAnnotations(size, mask, self.boxes[index : index + 1], self.parts[index])

    def _mask(self, index: int, size: tuple[int, int], max_pixels: int) -> Image.Image:
        name = self._mask_of(index)
        votes = read_grey(self.unpacked.folder / name, max_pixels)
        height, width = votes.shape
        if (width, height) != size:
            expected = f"{size[0]} x {size[1]} pixels, as its image has"
            unpacked = replace(self.unpacked, archive=SEGMENTATIONS)
            raise unpacked.damaged(name, expected, f"{width} x {height}")
        return Image.fromarray((votes >= MAJORITY).astype(np.uint8) * 255)

    def _mask_of(self, index: int) -> str:
        image = PurePosixPath(self.sample_ids[index])
        return f"{self.segmentations}/{image.with_suffix('.png')}"


def open_cub200(request: DataRequest) -> Dataset:
    """Open one split of CUB-200-2011.

    ``train+validation`` are the official training images, ``validation`` a fixed tenth of every
    class of them and ``train`` the rest. Boxes and part locations count pixels from 0, as
    published. Segmentations are used if the folder ``segmentations`` is in the parent folder of
    the data set, where its archive unpacks it, or in the data set's folder.

    Args:
        request: ``path`` (the folder CUB_200_2011 or its parent; ``root`` where empty), ``split``,
            ``view`` and ``root`` are used.

    Returns:
        The data set; sample ids are paths below ``images``.

    Raises:
        InputError: A file is missing or damaged, or the split does not exist.
    """
    if request.split not in SPLITS:
        raise unknown_split("cub200", request.split, SPLITS)
    unpacked = find_unpacked(request, ARCHIVE, [FOLDER], _IMAGES)
    numbers, names = _read_names(unpacked, _IMAGES)
    class_numbers, classes = _read_names(unpacked, _CLASSES)
    labels = _read_labels(unpacked, numbers, class_numbers)
    chosen = _choose(unpacked, request.split, numbers, names, labels)
    annotations = _read_annotations(unpacked, numbers, names, chosen)
    paths = [_image_of(sample_id) for sample_id in annotations.sample_ids]
    unpacked.require(paths)
    replace(unpacked, archive=SEGMENTATIONS).require(annotations.masks)
    return ImageFiles(
        name=f"cub200/{request.split}",
        folder=unpacked.folder,
        paths=paths,
        sample_ids=annotations.sample_ids,
        labels=labels[chosen],
        classes=classes,
        view=request.view,
        root=request.root,
        facts={"data": "cub200", "majority": MAJORITY},
        annotation_reader=annotations,
    )


def _read_annotations(
    unpacked: Unpacked, numbers: Numbers, names: Sequence[str], chosen: Int64[np.ndarray, "m"]
) -> BirdAnnotations:
    return BirdAnnotations(
        unpacked=unpacked,
        sample_ids=tuple(names[row] for row in chosen.tolist()),
        boxes=_read_boxes(unpacked, numbers)[chosen],
        parts=_read_parts(unpacked, numbers)[chosen],
        segmentations=_find_segmentations(unpacked),
    )


def _find_segmentations(unpacked: Unpacked) -> str | None:
    places = ("segmentations", "../segmentations")
    return next((place for place in places if (unpacked.folder / place).is_dir()), None)


def _image_of(sample_id: str) -> str:
    return f"images/{sample_id}"


def _read_names(unpacked: Unpacked, name: str) -> tuple[Numbers, tuple[str, ...]]:
    """Return the numbers and the names of a list of both; a name may have several words."""
    rows = unpacked.rows(name)
    numbers = [row[0] for row in rows]
    is_list = len(set(numbers)) == len(rows) and all(map(str.isdecimal, numbers))
    if not is_list or min(map(len, rows)) < 2:
        raise unpacked.damaged(name, "a unique number and a name in every line", "others")
    return np.array(numbers, np.float64), tuple(" ".join(row[1:]) for row in rows)


def _read_labels(
    unpacked: Unpacked, numbers: Numbers, class_numbers: Numbers
) -> Int64[np.ndarray, "n"]:
    """Return the class of each image, as a position in the list of classes."""
    given = _read_table(unpacked, _LABELS, numbers[:, None], 1)
    is_class = given == class_numbers
    unknown = np.flatnonzero(~is_class.any(axis=1))
    if unknown.size:
        expected, got = f"the numbers of {_CLASSES}", f"{given[unknown[0], 0]:g}"
        raise unpacked.damaged(_LABELS, expected, got)
    labels: Int64[np.ndarray, "n"] = is_class.argmax(axis=1)
    return labels


def _choose(
    unpacked: Unpacked,
    split: str,
    numbers: Numbers,
    names: Sequence[str],
    labels: Int64[np.ndarray, "n"],
) -> Int64[np.ndarray, "m"]:
    """Return the images of a split, as positions in the list of images."""
    flags = _read_table(unpacked, _SPLIT, numbers[:, None], 1)[:, 0]
    if not np.isin(flags, (0, 1)).all():
        raise unpacked.damaged(_SPLIT, "0 or 1 for each image", "others")
    is_training = flags == 1
    rows = np.flatnonzero(is_training == (split != "test"))
    if split not in ("train", "validation"):
        return rows
    held_out = held_out_tenth(labels[rows], [f"cub200/{names[row]}" for row in rows.tolist()])
    chosen: Int64[np.ndarray, "m"] = rows[held_out == (split == "validation")]
    return chosen


def _read_boxes(unpacked: Unpacked, numbers: Numbers) -> Float64[np.ndarray, "n 4"]:
    table = _read_drawn(unpacked, _BOXES, numbers[:, None], 4)
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:]], axis=1)


def _read_parts(unpacked: Unpacked, numbers: Numbers) -> Float64[np.ndarray, "n p 3"]:
    part_numbers, _ = _read_names(unpacked, _PARTS)
    pairs = np.stack(np.meshgrid(numbers, part_numbers, indexing="ij"), axis=2)
    return _read_drawn(unpacked, _LOCATIONS, pairs.reshape(-1, 2), 3).reshape(*pairs.shape[:2], 3)


def _read_drawn(
    unpacked: Unpacked, name: str, keys: Float64[np.ndarray, "n k"], columns: int
) -> Float64[np.ndarray, "n columns"]:
    """Return a table of annotations; if its fault is only reported, return ones instead."""
    try:
        return _read_table(unpacked, name, keys, columns)
    except InputError as fault:
        unpacked.report(fault)
        return np.ones((len(keys), columns))


def _read_table(
    unpacked: Unpacked, name: str, keys: Float64[np.ndarray, "n k"], columns: int
) -> Float64[np.ndarray, "n columns"]:
    """Return the numbers after each key in its line; lines may have any order.

    Raises:
        InputError: The keys or the number of columns differ.
    """
    try:
        table = np.loadtxt(unpacked.lines(name), np.float64, comments=None, ndmin=2)
    except ValueError as error:
        raise unpacked.damaged(name, "numbers", str(error)) from None
    width = keys.shape[1]
    expected = f"{columns} numbers after each of {len(keys)} keys"
    if table.shape != (len(keys), width + columns):
        raise unpacked.damaged(name, expected, f"{table.shape[0]} lines of {table.shape[1]}")
    ours, theirs = np.lexsort(keys.T), np.lexsort(table[:, :width].T)
    if (keys[ours] != table[theirs, :width]).any():
        raise unpacked.damaged(name, expected, "other keys")
    if not np.isfinite(table).all():
        raise unpacked.damaged(name, expected, "NaN or infinity")
    values = np.empty((len(keys), columns))
    values[ours] = table[theirs, width:]
    return values


CUB200 = DataSetEntry(
    open=open_cub200,
    summary="CUB-200-2011: 200 species of birds, 11,788 images; boxes, 15 parts, masks.",
    uri="cub200[:PATH]",
    splits=SPLITS,
    archives=(ARCHIVE, SEGMENTATIONS),
)
