"""STL-10 (Coates et al., AISTATS 2011) from its original binary files, memory-mapped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import DataRequest, Dataset, Indices
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.errors import InputError

ARCHIVE = "stl10_binary.tar.gz"
ARCHIVE_MD5 = "91f7769df0f17e558f3565bffb0c7dfb"
FOLDER = "stl10_binary"
SIDE = 96
N_CLASSES = 10
SOURCES = {"train": "train", "validation": "train", "train+validation": "train", "test": "test"}

_CLASS_NAMES = "class_names.txt"
_BYTES = 3 * SIDE * SIDE


@dataclass(frozen=True, eq=False)
class STL10:
    """One split of STL-10.

    Attributes:
        folder: The folder ``stl10_binary``.
        split: One of ``SOURCES``.
        classes: The ten class names.
        pictures: All pictures of the file, memory-mapped, columns before rows.
        positions: Positions in the file of the pictures of this split.
        labels: True classes of this split, from 0.
        root: Folder under which content digests are remembered.
    """

    folder: Path
    split: str
    classes: tuple[str, ...]
    pictures: UInt8[np.ndarray, "n 3 w h"]
    positions: Int64[np.ndarray, "m"]
    labels: Int64[np.ndarray, "m"]
    root: Path

    @property
    def name(self) -> str:
        """Return a short name for people, e.g. ``stl10/test``."""
        return f"stl10/{self.split}"

    @cached_property
    def sample_ids(self) -> tuple[str, ...]:
        """Return ids of file and position in it, e.g. ``train/00042``, also for validation."""
        return tuple(f"{SOURCES[self.split]}/{position:05d}" for position in self.positions)

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width): 96 by 96 pixels."""
        return SIDE, SIDE

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over the files' contents and the positions of this split."""
        source = SOURCES[self.split]
        files = (f"{source}_X.bin", f"{source}_y.bin")
        return digest_of(
            {
                "data": "stl10",
                "classes": self.classes,
                "positions": self.positions.tolist(),
                "content": content_digest(self.folder, files, self.root),
            }
        )

    def images(self, indices: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return RGB pictures, 0 to 255."""
        pictures = self.pictures[self.positions[indices]]
        return np.ascontiguousarray(pictures.swapaxes(2, 3))

    def masks(self, indices: Indices) -> None:
        """Return None: STL-10 has no object masks."""

    def boxes(self, indices: Indices) -> None:
        """Return None: STL-10 has no object boxes."""


def open_stl10(request: DataRequest) -> Dataset:
    """Open one split of STL-10.

    ``train+validation`` are the 5,000 labelled training pictures; ``validation`` is a fixed tenth
    of every class of them and ``train`` the rest. Pictures keep their 96 pixels.

    Args:
        request: ``path`` (the folder stl10_binary or its parent; ``root/stl10_binary`` where
            empty), ``split`` and ``root`` count.

    Returns:
        The data set.

    Raises:
        InputError: A file is missing or does not fit the format, or the split does not exist.
    """
    if request.split not in SOURCES:
        raise InputError(
            f"split {request.split!r} of stl10",
            expected=f"one of {', '.join(SOURCES)}",
            got="no such split",
            fix="choose one of them",
        )
    folder = _find_folder(request)
    source = SOURCES[request.split]
    labels = _read_labels(folder / f"{source}_y.bin")
    positions = _positions(labels, request.split)
    return STL10(
        folder=folder,
        split=request.split,
        classes=_read_classes(folder / _CLASS_NAMES),
        pictures=_map_pictures(folder / f"{source}_X.bin", len(labels)),
        positions=positions,
        labels=labels[positions],
        root=request.root,
    )


def _find_folder(request: DataRequest) -> Path:
    start = Path(request.path).expanduser() if request.path else request.root
    nested = start / FOLDER
    is_itself = start.name == FOLDER or (start / _CLASS_NAMES).is_file()
    return start if is_itself and not nested.is_dir() else nested


def _require(path: Path) -> Path:
    if path.is_file():
        return path
    raise InputError(
        str(path),
        expected=f"a file of {ARCHIVE} (MD5 {ARCHIVE_MD5})",
        got="no such file",
        fix=f"get {ARCHIVE} and unpack it so that its files lie in {path.parent}",
    )


def _read_classes(path: Path) -> tuple[str, ...]:
    names = tuple(_require(path).read_text("utf-8").split())
    if len(names) != N_CLASSES:
        raise _damaged(path, f"{N_CLASSES} class names", str(len(names)))
    return names


def _read_labels(path: Path) -> Int64[np.ndarray, "n"]:
    labels = np.fromfile(_require(path), np.uint8).astype(np.int64) - 1
    if not len(labels):
        raise _damaged(path, "one byte per picture", "an empty file")
    outside = labels[(labels < 0) | (labels >= N_CLASSES)]
    if outside.size:
        raise _damaged(path, f"labels from 1 to {N_CLASSES}", str(outside[0] + 1))
    labels.setflags(write=False)
    return labels


def _map_pictures(path: Path, count: int) -> UInt8[np.ndarray, "n 3 w h"]:
    size = _require(path).stat().st_size
    if size != count * _BYTES:
        raise _damaged(path, f"{count} pictures of {_BYTES} bytes each", f"{size} bytes")
    return np.memmap(path, np.uint8, "r", shape=(count, 3, SIDE, SIDE))


def _positions(labels: Int64[np.ndarray, "n"], split: str) -> Int64[np.ndarray, "m"]:
    """Return the positions of a split: the tenth of each class whose hash is lowest validates."""
    if split in ("test", "train+validation"):
        return np.arange(len(labels))
    held_out = np.zeros(len(labels), np.bool_)
    for label in range(N_CLASSES):
        members = sorted(np.flatnonzero(labels == label).tolist(), key=_rank)
        held_out[members[: len(members) // 10]] = True
    return np.flatnonzero(held_out == (split == "validation"))


def _rank(position: int) -> bytes:
    return hashlib.sha256(f"stl10/train/{position}".encode()).digest()


def _damaged(path: Path, expected: str, got: str) -> InputError:
    return InputError(
        str(path), expected=expected, got=got, fix=f"unpack {ARCHIVE} (MD5 {ARCHIVE_MD5}) again"
    )
