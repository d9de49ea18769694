"""STL-10 (Coates et al., AISTATS 2011) from its original binary files."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import DataRequest, Dataset, Indices
from ectool.datasets.catalogue import Archive, DataSetEntry, missing_file, unknown_split
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.published.unpacked import Unpacked, find_unpacked
from ectool.datasets.splits import held_out_tenth
from ectool.errors import InputError
from ectool.input_files import TEXT, open_regular, read_bytes

ARCHIVE = Archive("stl10_binary.tar.gz", "MD5 91f7769df0f17e558f3565bffb0c7dfb")
FOLDER = "stl10_binary"
SIDE = 96
N_CLASSES = 10
N_FOLDS = 10
N_UNLABELED = 100_000
SOURCES = {
    "train": "train",
    "validation": "train",
    "train+validation": "train",
    "test": "test",
    "unlabeled": "unlabeled",
}
"""The file that holds each split."""

_CLASS_NAMES = "class_names.txt"
_FOLDS = "fold_indices.txt"
_BYTES = 3 * SIDE * SIDE


@dataclass(frozen=True)
class ImageRows:
    """Images of one file, read by position; none of them stay in memory.

    The file is not memory-mapped: pages that were read would count as memory of this process
    until another one needs it, and the unlabelled images are 2.7 GB.

    Attributes:
        unpacked: The data set's folder.
        name: File of images, each 3 channels of 96 columns of 96 rows.
        positions: Positions in the file of the images of this split.
    """

    unpacked: Unpacked
    name: str
    positions: Int64[np.ndarray, "m"]

    def __call__(self, indices: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return RGB images, 0 to 255."""
        columns = np.empty((len(indices), 3, SIDE, SIDE), np.uint8)
        with open_regular(self.unpacked.folder / self.name) as file:
            for image, position in zip(columns, self.positions[indices], strict=True):
                if os.preadv(file.fileno(), [image.data], int(position) * _BYTES) != _BYTES:
                    got = "the end of the file"
                    raise self.unpacked.damaged(self.name, f"image {position}", got)
        return np.ascontiguousarray(columns.swapaxes(2, 3))


def open_stl10(request: DataRequest) -> Dataset:
    """Open one split of STL-10.

    ``train+validation`` are the 5,000 labelled training images; ``validation`` is a fixed tenth
    of every class of them and ``train`` the rest. With a predefined fold, ``train`` are its 1,000
    images and ``validation`` the other 4,000. Labels of ``unlabeled`` are -1. Images keep
    their 96 pixels; sample ids name file and position in it, e.g. ``train/00042``.

    Args:
        request: ``path`` (the folder stl10_binary or its parent; ``root/stl10_binary`` where
            empty), ``split``, ``fold`` and ``root`` are used.

    Returns:
        The data set.

    Raises:
        InputError: A file is missing or does not fit the format, or the split or fold does not
            exist.
    """
    if request.split not in SOURCES:
        raise unknown_split("stl10", request.split, tuple(SOURCES))
    unpacked = _find_folder(request)
    source = SOURCES[request.split]
    images = f"{source}_X.bin"
    _check_there(unpacked, source)
    labels = _read_labels(unpacked, source)
    _check_size(unpacked, images, len(labels))
    positions = _positions(labels, request, unpacked)
    classes = _read_classes(unpacked)
    folder, files = unpacked.folder, [images]
    if source != "unlabeled":
        files.append(f"{source}_y.bin")
    facts = {"data": "stl10", "classes": classes, "positions": positions.tolist()}
    fold = "" if request.fold is None else f"/fold{request.fold}"
    return ImageArrays(
        name=f"stl10/{request.split}{fold}",
        sample_ids=tuple(f"{source}/{position:05d}" for position in positions),
        labels=labels[positions],
        classes=classes,
        size=(SIDE, SIDE),
        read=ImageRows(unpacked, images, positions),
        digest=lambda: digest_of({**facts, "content": content_digest(folder, files, request.root)}),
    )


def _find_folder(request: DataRequest) -> Unpacked:
    return find_unpacked(request, ARCHIVE, [FOLDER], _CLASS_NAMES)


def _check_there(unpacked: Unpacked, source: str) -> None:
    """Check that a part of the archive was unpacked; otherwise the part is absent, not damaged."""
    files = [f"{source}_X.bin", f"{source}_y.bin"]
    if not any((unpacked.folder / file).exists() for file in files):
        first = unpacked.folder / files[0 if source == "unlabeled" else 1]
        raise missing_file(first, ARCHIVE, unpacked.place, others=False)


def _read_classes(unpacked: Unpacked) -> tuple[str, ...]:
    names = tuple(unpacked.text(_CLASS_NAMES).split())
    if len(names) != N_CLASSES:
        raise unpacked.damaged(_CLASS_NAMES, f"{N_CLASSES} class names", str(len(names)))
    return names


def _read_labels(unpacked: Unpacked, source: str) -> Int64[np.ndarray, "n"]:
    """Return classes from 0; -1 for every image without a label."""
    if source == "unlabeled":
        count = unpacked.file("unlabeled_X.bin").stat().st_size // _BYTES
        if count > N_UNLABELED:
            raise unpacked.damaged("unlabeled_X.bin", f"{N_UNLABELED:,} images", f"{count:,}")
        return np.full(count, -1, np.int64)
    name = f"{source}_y.bin"
    labels = np.frombuffer(read_bytes(unpacked.file(name), TEXT), np.uint8).astype(np.int64) - 1
    if not len(labels):
        raise unpacked.damaged(name, "one byte per image", "an empty file")
    is_outside = (labels < 0) | (labels >= N_CLASSES)
    if is_outside.any():
        got = str(labels[is_outside][0] + 1)
        unpacked.report(unpacked.damaged(name, f"labels from 1 to {N_CLASSES}", got))
        labels[is_outside] = -1
    labels.setflags(write=False)
    return labels


def _check_size(unpacked: Unpacked, name: str, count: int) -> None:
    size = unpacked.file(name).stat().st_size
    if size != count * _BYTES or not count:
        labels = name.replace("_X", "_y")
        exists = (unpacked.folder / labels).exists()
        got = f"{size} bytes" + (f", and {labels} of {count}" if exists else "")
        unpacked.report(unpacked.damaged(name, f"{count} images of {_BYTES} bytes each", got))


def _positions(
    labels: Int64[np.ndarray, "n"], request: DataRequest, unpacked: Unpacked
) -> Int64[np.ndarray, "m"]:
    """Return the positions of a split in its file."""
    if request.split not in ("train", "validation"):
        return np.arange(len(labels))
    if request.fold is None:
        names = [f"stl10/train/{position}" for position in range(len(labels))]
        held_out = held_out_tenth(labels, names)
    else:
        held_out = np.ones(len(labels), np.bool_)
        held_out[_read_fold(unpacked, request.fold, len(labels))] = False
    return np.flatnonzero(held_out == (request.split == "validation"))


def _read_fold(unpacked: Unpacked, fold: int, count: int) -> Int64[np.ndarray, "m"]:
    """Return the positions in a fold, from 0."""
    lines = unpacked.text(_FOLDS).splitlines()
    if not 0 <= fold < N_FOLDS:
        raise InputError(
            f"fold {fold} of stl10",
            expected=f"0 to {N_FOLDS - 1}",
            got=str(fold),
            fix="change --fold",
        )
    try:
        positions = np.array([int(word) for word in lines[fold].split()], np.int64)
    except (IndexError, ValueError) as error:
        raise unpacked.damaged(_FOLDS, f"{N_FOLDS} lines of positions", str(error)) from None
    if not len(positions) or positions.min() < 0 or positions.max() >= count:
        expected = f"positions from 0 to {count - 1} in line {fold + 1}"
        raise unpacked.damaged(_FOLDS, expected, "others")
    return positions


def check_folds(request: DataRequest) -> None:
    """Report the faults of the list of folds, which no split reads without ``--fold``."""
    unpacked = _find_folder(request)
    labels = unpacked.folder / "train_y.bin"
    if not labels.is_file():
        return
    count = labels.stat().st_size
    try:
        for fold in range(N_FOLDS):
            _read_fold(unpacked, fold, count)
    except InputError as fault:
        request.report(fault)


STL10 = DataSetEntry(
    open=open_stl10,
    summary="STL-10: 96 x 96 pixels, 10 classes, 5,000 labelled and 100,000 unlabelled images.",
    uri="stl10[:PATH]",
    splits=tuple(SOURCES),
    archives=(ARCHIVE,),
    has_folds=True,
    check_more=check_folds,
)
