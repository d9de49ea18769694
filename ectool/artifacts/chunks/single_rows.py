"""Rows of an array that are compressed one by one, read in any order without zarr.

Such an array has one row in a chunk, and many chunks in a file: Zarr's sharding. At the end of the
file stand the place and the length of every row.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs.zstd import Zstd

from ectool.artifacts.chunks.chunk_files import chunk_key, opened
from ectool.artifacts.chunks.seal import CHECKSUM_BYTES, ChunkError, unsealed
from ectool.artifacts.chunks.whole import METADATA
from ectool.artifacts.guard.bounds import check_zstd
from ectool.artifacts.hashing import digest_arrays
from ectool.artifacts.raw_rows import Seals
from ectool.errors import IntegrityError
from ectool.parsing import read_object

Rows = np.ndarray[Any, np.dtype[np.int64]]
Values = np.ndarray[Any, np.dtype[np.uint8]]
_ENTRY = np.dtype([("place", "<u8"), ("length", "<u8")])
_MISSING = np.uint64(2**64 - 1)
_CODECS = ["bytes", "zstd", "crc32c"]


@dataclass(frozen=True)
class SingleRows:
    """The rows of one array of bytes, which is a matrix.

    Attributes:
        folder: Folder of the array.
        name: Path of the array in its group.
        length: Number of rows.
        rows: Rows in a file.
        width: Bytes of a row.
        seals: Rows and digest of each file; a file is compared when its first row is read, once in
            a process. Without them, rows are compared with their checksums only.
    """

    folder: Path
    name: str
    length: int
    rows: int
    width: int
    seals: Seals | None = None
    _checked: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, path: Path, name: str, seals: Seals | None = None) -> SingleRows | None:
        """Return the rows of an array of a group, or None if it has another form."""
        file = path / name / METADATA
        found: Mapping[str, Any] = read_object(file, kind=IntegrityError) if file.exists() else {}
        if found.get("data_type") != "uint8" or [c["name"] for c in found["codecs"]] != [
            "sharding_indexed"
        ]:
            return None
        (length, width), inner = found["shape"], found["codecs"][0]["configuration"]
        chunk = found["chunk_grid"]["configuration"]["chunk_shape"]
        codecs = [codec["name"] for codec in inner["codecs"]]
        at_end = inner.get("index_location", "end") == "end"
        if inner["chunk_shape"] != [1, width] or codecs != _CODECS or not at_end:
            return None
        return cls(path / name, name, length, chunk[0], width, seals)

    def read(self, start: int, stop: int) -> Values:
        """Return rows [start, stop), compared with their checksums.

        Raises:
            ChunkError: A file or a row is missing, or has changed.
        """
        return self._read(np.arange(start, max(start, min(stop, self.length))))

    def __call__(self, rows: Rows) -> Values:
        """Return rows in the given order, after comparing their files with the digests.

        Raises:
            ChunkError: A file or a row is missing, or has changed.
        """
        if self.seals is not None:
            with self._lock:
                for number in map(int, np.unique(rows // self.rows)):
                    self._check(number, self.seals[number].digest)
        return self._read(rows)

    def _check(self, number: int, digest: str) -> None:
        if number in self._checked:
            return
        first = number * self.rows
        if digest_arrays({self.name: self.read(first, first + self.rows)}) != digest:
            raise ChunkError(number, "does not match its digest")
        self._checked.add(number)

    def _read(self, rows: Rows) -> Values:
        found = np.empty((len(rows), self.width), np.uint8)
        numbers = rows // self.rows
        for number in map(int, np.unique(numbers)):
            with self._opened(number) as file:
                index = self._index(file, number)
                for place in np.flatnonzero(numbers == number):
                    entry = index[int(rows[place]) % self.rows]
                    found[place] = self._decoded(file, number, entry)
        return found

    def _index(self, file: int, number: int) -> np.ndarray[Any, Any]:
        """Return place and length of every row of a file."""
        size = self.rows * _ENTRY.itemsize + CHECKSUM_BYTES
        end = os.fstat(file).st_size
        data = unsealed(os.pread(file, size, max(0, end - size)), number)
        if len(data) != size - CHECKSUM_BYTES:
            raise ChunkError(number, "is too short")
        return np.frombuffer(data, _ENTRY)

    def _decoded(self, file: int, number: int, entry: np.void) -> Values:
        if entry["place"] == _MISSING:
            raise ChunkError(number, "lacks a row")
        end = int(entry["place"]) + int(entry["length"])
        if end > os.fstat(file).st_size:
            raise ChunkError(number, "is too short")
        data = unsealed(os.pread(file, int(entry["length"]), int(entry["place"])), number)
        try:
            check_zstd(data, self.width)
        except ValueError:
            raise ChunkError(number, "has a row of another length") from None
        return np.frombuffer(Zstd().decode(data), np.uint8)

    def _opened(self, number: int) -> AbstractContextManager[int]:
        return opened(self.folder, chunk_key(number, axes=2), number)
