"""Any rows of an uncompressed Zarr array, in any order, without reading their neighbours."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from zarr.codecs import BytesCodec, Crc32cCodec

from ectool.artifacts.schema import ArraySpec

CHECKSUM_BYTES = 4
_PIECE = 2**24


class RawRows:
    """Rows of one array, read by offset from its chunk files.

    A chunk's checksum is compared when the first of its rows is read, once in a process. Nothing
    stays in memory and nothing is memory-mapped: pages that were read would count as this
    process's memory until somebody else asks for it.

    Args:
        path: Folder of the Zarr group.
        array: One of its arrays, for which `is_raw` is true.
    """

    def __init__(self, path: Path, array: zarr.Array[Any]) -> None:
        self.folder = path / array.path
        self.array = array
        self.rows = array.chunks[0]
        self.row_bytes = int(np.prod(array.shape[1:], dtype=np.int64)) * array.dtype.itemsize
        self._checked: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        """Return rows in the order asked for.

        Raises:
            OSError: A chunk is missing, too short, or not what was written.
        """
        found = np.empty((len(rows), *self.array.shape[1:]), self.array.dtype)
        flat = found.reshape(len(rows), self.row_bytes).view(np.uint8)
        chunks = rows // self.rows
        for number in np.unique(chunks):
            with self._chunk(int(number)) as file:
                for place in np.flatnonzero(chunks == number):
                    offset = int(rows[place] % self.rows) * self.row_bytes
                    if os.preadv(file, [flat[place].data], offset) != self.row_bytes:
                        raise OSError(f"chunk {number} is too short")
        return found

    @contextmanager
    def _chunk(self, number: int) -> Iterator[int]:
        """Open a chunk's file, after checking it once."""
        key = self.array.metadata.encode_chunk_key((number, *(0,) * (self.array.ndim - 1)))
        file = os.open(self.folder / key, os.O_RDONLY)
        try:
            with self._lock:
                if number not in self._checked:
                    _check(file, number)
                    self._checked.add(number)
            yield file
        finally:
            os.close(file)


def is_raw(array: zarr.Array[Any], spec: ArraySpec | None) -> bool:
    """Tell whether an array's chunks are whole rows as they lie in memory, and a checksum."""
    codecs = array.metadata.codecs if array.metadata.zarr_format == 3 else ()
    kinds = tuple(type(codec) for codec in codecs)
    whole_rows = array.chunks[1:] == array.shape[1:]
    one_byte = array.dtype.itemsize == 1  # so that no byte order matters
    return bool(
        spec and spec.raw and kinds == (BytesCodec, Crc32cCodec) and whole_rows and one_byte
    )


def _check(file: int, number: int) -> None:
    """Compare a chunk with the CRC-32C at its end."""
    left = os.fstat(file).st_size - CHECKSUM_BYTES
    checksum = offset = 0
    while left > 0:
        piece = os.pread(file, min(_PIECE, left), offset)
        checksum = google_crc32c.extend(checksum, piece)
        offset, left = offset + len(piece), left - len(piece)
        if not piece:
            break
    if os.pread(file, CHECKSUM_BYTES, offset) != checksum.to_bytes(CHECKSUM_BYTES, "little"):
        raise OSError(f"chunk {number} does not match its checksum")
