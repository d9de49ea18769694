"""STL-10 (Coates et al., AISTATS 2011) from its original binary files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import DataRequest, Dataset, Indices, Report
from ectool.datasets.catalogue import Archive, Entry, missing_file, unknown_split
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.splits import held_out_tenth
from ectool.errors import InputError

ARCHIVE = Archive("stl10_binary.tar.gz", "MD5 91f7769df0f17e558f3565bffb0c7dfb")
FOLDER = "stl10_binary"
SIDE = 96
N_CLASSES = 10
N_FOLDS = 10
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
    """Images of one file, read by position; nothing of the file stays in memory.

    Not memory-mapped: pages that were read would count as this process's memory until somebody
    else asks for it, and the unlabelled images are 2.7 GB.

    Attributes:
        path: File of images, each 3 channels of 96 columns of 96 rows.
        positions: Positions in the file of the images of this split.
    """

    path: Path
    positions: Int64[np.ndarray, "m"]

    def __call__(self, indices: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return RGB images, 0 to 255."""
        columns = np.empty((len(indices), 3, SIDE, SIDE), np.uint8)
        with self.path.open("rb", buffering=0) as file:
            for image, position in zip(columns, self.positions[indices], strict=True):
                if os.preadv(file.fileno(), [image.data], int(position) * _BYTES) != _BYTES:
                    raise _damaged(self.path, f"image {position}", "the end of the file")
        return np.ascontiguousarray(columns.swapaxes(2, 3))


def open_stl10(request: DataRequest) -> Dataset:
    """Open one split of STL-10.

    ``train+validation`` are the 5,000 labelled training images; ``validation`` is a fixed tenth
    of every class of them and ``train`` the rest. With a predefined fold, ``train`` are its 1,000
    images and ``validation`` the other 4,000. Labels of ``unlabeled`` are -1. Images keep
    their 96 pixels; sample ids name file and position in it, e.g. ``train/00042``.

    Args:
        request: ``path`` (the folder stl10_binary or its parent; ``root/stl10_binary`` where
            empty), ``split``, ``fold`` and ``root`` count.

    Returns:
        The data set.

    Raises:
        InputError: A file is missing or does not fit the format, or the split or fold does not
            exist.
    """
    if request.split not in SOURCES:
        raise unknown_split("stl10", request.split, tuple(SOURCES))
    folder = _find_folder(request)
    source = SOURCES[request.split]
    images = folder / f"{source}_X.bin"
    _check_there(folder, source)
    labels = _read_labels(folder, source, request.report)
    _check_size(images, len(labels), request.report)
    positions = _positions(labels, request, folder)
    classes = _read_classes(folder / _CLASS_NAMES)
    files = [images.name] if source == "unlabeled" else [images.name, f"{source}_y.bin"]
    facts = {"data": "stl10", "classes": classes, "positions": positions.tolist()}
    fold = "" if request.fold is None else f"/fold{request.fold}"
    return ImageArrays(
        name=f"stl10/{request.split}{fold}",
        sample_ids=tuple(f"{source}/{position:05d}" for position in positions),
        labels=labels[positions],
        classes=classes,
        size=(SIDE, SIDE),
        read=ImageRows(images, positions),
        digest=lambda: digest_of({**facts, "content": content_digest(folder, files, request.root)}),
    )


def _find_folder(request: DataRequest) -> Path:
    start = Path(request.path).expanduser() if request.path else request.root
    nested = start / FOLDER
    is_itself = start.name == FOLDER or (start / _CLASS_NAMES).is_file()
    return start if is_itself and not nested.is_dir() else nested


def _require(path: Path) -> Path:
    if path.is_file():
        return path
    raise missing_file(path, ARCHIVE, path.parent.parent)


def _check_there(folder: Path, source: str) -> None:
    """Tell a part that was never unpacked from one that misses a file."""
    files = [folder / f"{source}_X.bin", folder / f"{source}_y.bin"]
    if not any(file.exists() for file in files):
        wanted = files[0] if source == "unlabeled" else files[1]
        raise missing_file(wanted, ARCHIVE, folder.parent, others=False)


def _read_text(path: Path) -> str:
    try:
        return _require(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, "text", str(error)) from None


def _read_classes(path: Path) -> tuple[str, ...]:
    names = tuple(_read_text(path).split())
    if len(names) != N_CLASSES:
        raise _damaged(path, f"{N_CLASSES} class names", str(len(names)))
    return names


def _read_labels(folder: Path, source: str, report: Report) -> Int64[np.ndarray, "n"]:
    """Return classes from 0; -1 for every image that has none."""
    if source == "unlabeled":
        count = _require(folder / "unlabeled_X.bin").stat().st_size // _BYTES
        return np.full(count, -1, np.int64)
    path = _require(folder / f"{source}_y.bin")
    labels = np.fromfile(path, np.uint8).astype(np.int64) - 1
    if not len(labels):
        raise _damaged(path, "one byte per image", "an empty file")
    outside = labels[(labels < 0) | (labels >= N_CLASSES)]
    if outside.size:
        report(_damaged(path, f"labels from 1 to {N_CLASSES}", str(outside[0] + 1)))
        labels[(labels < 0) | (labels >= N_CLASSES)] = -1
    labels.setflags(write=False)
    return labels


def _check_size(path: Path, count: int, report: Report) -> None:
    size = _require(path).stat().st_size
    if size != count * _BYTES or not count:
        labels = path.with_name(path.name.replace("_X", "_y"))
        beside = f" beside {labels.name} of {count}" if labels.exists() else ""
        report(_damaged(path, f"{count} images of {_BYTES} bytes each", f"{size} bytes{beside}"))


def _positions(
    labels: Int64[np.ndarray, "n"], request: DataRequest, folder: Path
) -> Int64[np.ndarray, "m"]:
    """Return the positions in its file of a split."""
    if request.split not in ("train", "validation"):
        return np.arange(len(labels))
    if request.fold is None:
        names = [f"stl10/train/{position}" for position in range(len(labels))]
        held_out = held_out_tenth(labels, names)
    else:
        held_out = np.ones(len(labels), np.bool_)
        held_out[_read_fold(folder / _FOLDS, request.fold, len(labels))] = False
    return np.flatnonzero(held_out == (request.split == "validation"))


def _read_fold(path: Path, fold: int, count: int) -> Int64[np.ndarray, "m"]:
    """Return the positions in a fold, counted from 0 in the file as here."""
    lines = _read_text(path).splitlines()
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
        raise _damaged(path, f"{N_FOLDS} lines of positions", str(error)) from None
    if not len(positions) or positions.min() < 0 or positions.max() >= count:
        raise _damaged(path, f"positions from 0 to {count - 1} in line {fold + 1}", "others")
    return positions


def _damaged(path: Path, expected: str, got: str) -> InputError:
    return InputError(str(path), expected=expected, got=got, fix=f"unpack {ARCHIVE} again")


def check_folds(request: DataRequest) -> None:
    """Report the faults of the list of folds, which only the option of a fold reads."""
    folder = _find_folder(request)
    if not (folder / "train_y.bin").is_file():
        return
    count = (folder / "train_y.bin").stat().st_size
    try:
        for fold in range(N_FOLDS):
            _read_fold(folder / _FOLDS, fold, count)
    except InputError as fault:
        request.report(fault)


STL10 = Entry(
    open=open_stl10,
    summary="STL-10: 96 x 96 pixels, 10 classes, 5,000 labelled and 100,000 unlabelled images.",
    uri="stl10[:PATH]",
    splits=tuple(SOURCES),
    archives=(ARCHIVE,),
    has_folds=True,
    check_more=check_folds,
)
