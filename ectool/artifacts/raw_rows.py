"""Reading of single rows of an uncompressed Zarr array, in any order."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec

from ectool.artifacts.chunks.chunk_files import opened
from ectool.artifacts.chunks.seal import CHECKSUM_BYTES, ChunkError
from ectool.artifacts.hashing import array_header
from ectool.artifacts.schema import ArraySpec

_PIECE = 2**24


class Seal(NamedTuple):
    """Number of rows of an array in one shard, and their SHA-256 in the manifest."""

    rows: int
    digest: str


Seals = tuple[Seal, ...]


class RawRows:
    """Rows of one array, read by offset from its chunk files.

    A chunk is compared with its digest when its first row is read, once in a process, or with its
    checksum if there is no digest. Nothing stays in memory and nothing is memory-mapped: pages
    that were read would count as memory of this process until another one needs it.

    Args:
        path: Folder of the Zarr group.
        name: Path of one of its arrays.
        array: The array, for which `is_raw` is true.
        seals: Rows and digest of each chunk, or None without digests.
    """

    def __init__(
        self, path: Path, name: str, array: zarr.Array[Any], seals: Seals | None = None
    ) -> None:
        self.folder = path / name
        self.name = name
        self.array = array
        self.seals = seals
        self.rows = array.chunks[0]
        self.row_bytes = int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize
        self._checked: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        """Return rows in the given order.

        Raises:
            ChunkError: A chunk is missing, too short, or has changed.
        """
        found = np.empty((len(rows), *self.array.shape[1:]), self.array.dtype)
        flat = found.reshape(len(rows), self.row_bytes).view(np.uint8)
        chunks = rows // self.rows
        numbers = [int(number) for number in np.unique(chunks)]
        self._check_new(numbers)
        for number in numbers:
            with self._chunk(number) as file:
                for place in np.flatnonzero(chunks == number):
                    offset = int(rows[place] % self.rows) * self.row_bytes
                    if os.preadv(file, [flat[place].data], offset) != self.row_bytes:
                        raise ChunkError(number, "is too short")
        return found

    def _check_new(self, numbers: list[int]) -> None:
        """Compare chunks with their digests, several at a time: hashing is the slower part."""
        with self._lock:
            new = [number for number in numbers if number not in self._checked]
            if len(new) > 1:
                with ThreadPoolExecutor(min(len(new), os.cpu_count() or 1)) as workers:
                    list(workers.map(self._check, new))
            elif new:
                self._check(new[0])
            self._checked.update(new)

    def _check(self, number: int) -> None:
        with self._chunk(number) as file:
            if self.seals is None:
                _check_sum(file, number)
            else:
                self._check_seal(file, number, self.seals[number])

    def _check_seal(self, file: int, number: int, seal: Seal) -> None:
        """Compare a chunk's rows with their digest; the last chunk is longer than its rows."""
        shape = (seal.rows, *self.array.shape[1:])
        digest = hashlib.sha256(array_header(self.name, self.array.dtype.str, shape))
        for piece in _pieces(file, seal.rows * self.row_bytes):
            digest.update(piece)
        if digest.hexdigest() != seal.digest:
            raise ChunkError(number, "does not match its digest")

    def _chunk(self, number: int) -> AbstractContextManager[int]:
        """Open a chunk's file."""
        key = self.array.metadata.encode_chunk_key((number, *(0,) * (self.array.ndim - 1)))
        return opened(self.folder, key, number)


def is_raw(array: zarr.Array[Any], spec: ArraySpec | None) -> bool:
    """Return whether the chunks of an array are uncompressed whole rows and a checksum."""
    codecs = array.metadata.codecs if array.metadata.zarr_format == 3 else ()
    kinds = tuple(type(codec) for codec in codecs)
    whole_rows = array.chunks[1:] == array.shape[1:]
    one_byte = array.dtype.itemsize == 1  # byte order does not matter
    return bool(
        spec and spec.raw and kinds == (BytesCodec, Crc32cCodec) and whole_rows and one_byte
    )


def _pieces(file: int, size: int) -> Iterable[bytes]:
    """Yield the first `size` bytes of a file, or fewer if it is shorter."""
    offset = 0
    while offset < size and (piece := os.pread(file, min(_PIECE, size - offset), offset)):
        yield piece
        offset += len(piece)


def _check_sum(file: int, number: int) -> None:
    """Compare a chunk with the CRC-32C at its end."""
    size = os.fstat(file).st_size - CHECKSUM_BYTES
    checksum = 0
    for piece in _pieces(file, size):
        checksum = google_crc32c.extend(checksum, piece)
    if os.pread(file, CHECKSUM_BYTES, max(size, 0)) != checksum.to_bytes(CHECKSUM_BYTES, "little"):
        raise ChunkError(number, "does not match its checksum")
