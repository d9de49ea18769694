"""Single-label data sets that torchvision reads from local files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import Int64, UInt8

from ectool.datasets.base import DataRequest, Dataset, Indices
from ectool.datasets.catalogue import DataSetEntry, unknown_split
from ectool.datasets.fingerprint import digest_of
from ectool.datasets.image_arrays import ImageArrays
from ectool.datasets.image_files import ImageFiles
from ectool.datasets.published.torchvision_files import check_files
from ectool.datasets.published.torchvision_kinds import KINDS, OFFERED, Kind
from ectool.datasets.splits import ALL, drawn_split, held_out_tenth
from ectool.errors import AbsentError, InputError, nearest
from ectool.types import Unnamed

_HASHED_AT_ONCE = 1024


class TorchvisionData(Protocol):
    """A data set of torchvision; with a loader it returns the paths of its images."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> tuple[str, int]: ...


@dataclass(frozen=True)
class RequestedSet:
    """A requested data set of torchvision.

    Attributes:
        name: Name of its class.
        kind: Its description.
        root: torchvision's root.
        request: The request.
    """

    name: str
    kind: Kind
    root: Path
    request: DataRequest

    @property
    def folder(self) -> Path:
        """Return the folder of its files."""
        return self.root / self.kind.folder

    @property
    def title(self) -> str:
        """Return the short name for messages."""
        return f"torchvision/{self.name}/{self.request.split}"

    def check_there(self, part: str) -> None:
        """Check that a part of the data exists; otherwise it is absent, not damaged.

        Raises:
            AbsentError: The data set's folder is missing, or, if it has none, the archive of the
                part.
        """
        number = list(self.kind.parts).index(part)
        own = self.folder if self.kind.folder else self.root / self.kind.archives[number].name
        if not own.exists():
            raise self._fault("no such file", AbsentError)

    def construct(self, part: str) -> TorchvisionData:
        """Return the published part train, validation or test as a data set of torchvision.

        Pickles (CIFAR) are read after torchvision has compared their MD5 with the published one.

        Raises:
            InputError: Its files are missing or damaged.
        """
        check_files(self.folder if self.kind.folder else self.root)
        from torchvision import datasets

        arguments = dict(self.kind.parts[part])
        if not self.kind.attributes:
            arguments["loader"] = str
        try:
            reader: TorchvisionData = getattr(datasets, self.name)(str(self.root), **arguments)
        except Exception as error:  # damaged files can raise any exception
            got = str(error).partition(" You can ")[0]
            raise self._fault(got or type(error).__name__) from error
        return reader

    def _fault(self, got: str, kind: type[InputError] = InputError) -> InputError:
        published = ", ".join(map(str, self.kind.archives))
        names = ", ".join(archive.name for archive in self.kind.archives)
        return kind(
            str(self.folder),
            expected=f"the files of {published}, as torchvision.datasets.{self.name} reads them",
            got=got if self.folder.is_dir() else "no such folder",
            fix=f"get {names} and unpack in {self.root / self.kind.place}",
        )

    def keep(
        self, labels: Int64[np.ndarray, "n"], sample_ids: Sequence[str]
    ) -> Int64[np.ndarray, "m"]:
        """Return the rows of the split among the samples of its parts."""
        split, parts = self.request.split, self.kind.parts
        if ALL in parts and split != ALL:
            return np.flatnonzero([drawn_split(name) == split for name in sample_ids])
        if split in ("train", "validation") and "validation" not in parts and ALL not in parts:
            names = [f"{self.name}/{name}" for name in sample_ids]
            return np.flatnonzero(held_out_tenth(labels, names) == (split == "validation"))
        return np.arange(len(labels))


def open_torchvision(request: DataRequest) -> Dataset:
    """Open one split of a data set that torchvision reads.

    ``validation`` is the published split, else a fixed tenth of every class of the training
    images; ``train+validation`` are all of these. Without published splits, the hash of the path
    selects them as in ``imagefolder``, and ``all`` is every image. Data sets of small arrays
    (CIFAR, MNIST, ...) keep their size and stay in memory; files are decoded on each access.
    Nothing is downloaded.

    Args:
        request: ``path`` (``NAME``, or ``NAME:PATH`` with torchvision's root or the data set's own
            folder in it; ``root`` where there is none), ``split``, ``view`` and ``root`` are used.

    Returns:
        The data set; sample ids are paths, or positions in the file of the published split, e.g.
        ``train/00042``.

    Raises:
        InputError: The name or split does not exist, or files are missing or damaged.
    """
    name, _, path = request.path.partition(":")
    kind = _find_kind(name)
    parts = kind.sources(request.split)
    if not parts:
        raise unknown_split(f"torchvision:{name}", request.split, kind.splits())
    source = RequestedSet(name, kind, _find_root(kind, path, request.root), request)
    source.check_there(parts[0])
    readers = [source.construct(part) for part in parts]
    if kind.arrays:
        return _arrays(source, readers[0], parts[0])
    return _files(source, readers)


def _find_kind(name: str) -> Kind:
    if name in KINDS:
        return KINDS[name]
    near = nearest(name, KINDS)
    raise InputError(
        f"torchvision:{name}",
        expected=f"one of {', '.join(KINDS)}",
        got="no such data set" if name else "no name",
        fix=f"write torchvision:{near}" if near else "write torchvision:NAME or NAME:PATH",
    )


def _find_root(kind: Kind, path: str, root: Path) -> Path:
    """Return torchvision's root: the path, or its parent if the path is the data set's folder."""
    start = Path(path).expanduser() if path else root
    own = Path(kind.folder).parts
    for depth in range(len(own), 0, -1):
        if start.parts[-depth:] == own[:depth] and not (start / kind.folder).is_dir():
            return Path(*start.parts[:-depth])
    return start


def _arrays(source: RequestedSet, reader: TorchvisionData, part: str) -> Dataset:
    data, targets = (np.asarray(getattr(reader, name)) for name in source.kind.attributes)
    names = [f"{part}/{position:05d}" for position in range(len(targets))]
    rows = source.keep(targets, names)
    sample_ids = tuple(names[row] for row in rows)
    labels, classes = targets[rows].astype(np.int64), _classes(reader, targets)

    def read(indices: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        return _as_rgb(data[rows[indices]])

    def digest() -> str:
        pixels = hashlib.sha256()
        for start in range(0, len(rows), _HASHED_AT_ONCE):
            pixels.update(data[rows[start : start + _HASHED_AT_ONCE]].tobytes())
        facts = {"data": f"torchvision/{source.name}", "classes": classes, "ids": sample_ids}
        return digest_of({**facts, "labels": labels.tolist(), "pixels": pixels.hexdigest()})

    size = (data.shape[2], data.shape[2])
    return ImageArrays(source.title, sample_ids, labels, classes, size, read, digest)


def _as_rgb(rows: UInt8[np.ndarray, "b ..."]) -> UInt8[np.ndarray, "b 3 h w"]:
    """Return images with channels first, for any layout that torchvision uses."""
    if rows.ndim == 3:
        return np.repeat(rows[:, None], 3, axis=1)
    return np.ascontiguousarray(rows if rows.shape[1] == 3 else rows.transpose(0, 3, 1, 2))


def _files(source: RequestedSet, readers: Sequence[TorchvisionData]) -> Dataset:
    listed = sorted(
        (Path(path).relative_to(source.folder).as_posix(), int(label))
        for reader in readers
        for path, label in _list_files(reader, source.kind)
    )
    names = [name for name, _ in listed]
    labels = np.array([label for _, label in listed], np.int64)
    rows = source.keep(labels, names)
    paths = tuple(names[row] for row in rows)
    return ImageFiles(
        name=source.title,
        folder=source.folder,
        paths=paths,
        sample_ids=paths,
        labels=labels[rows],
        classes=_classes(readers[0], labels),
        view=source.request.view,
        root=source.request.root,
        facts={"data": f"torchvision/{source.name}"},
    )


def _list_files(reader: TorchvisionData, kind: Kind) -> list[tuple[str, int]]:
    """Return the path and the class of every image, without reading the images."""
    columns = [getattr(reader, name) for name in kind.attributes]
    if not columns:
        return [reader[row] for row in range(len(reader))]
    return list(columns[0] if len(columns) == 1 else zip(*columns, strict=True))


def _classes(reader: TorchvisionData, labels: Int64[np.ndarray, "n"]) -> tuple[str, ...]:
    """Return the first name of each class, or numbers if there are no names."""
    names = getattr(reader, "classes", None)
    if names is None:
        return Unnamed.of(1 + int(labels.max(initial=0)))
    return tuple(name[0] if isinstance(name, tuple) else str(name) for name in names)


TORCHVISION = DataSetEntry(
    open=open_torchvision,
    summary=f"Data sets that torchvision reads from local files: {', '.join(KINDS)}.",
    uri="torchvision:NAME[:PATH]",
    splits=(*OFFERED, ALL),
)
