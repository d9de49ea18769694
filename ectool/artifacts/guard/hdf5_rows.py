"""Rows of plain HDF5 arrays, read without HDF5: it crashes on some damaged files."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numcodecs.fletcher32 import Fletcher32
from numcodecs.shuffle import Shuffle

from ectool.artifacts.guard.bounds import inflated

DEFLATE, SHUFFLE, FLETCHER = 1, 2, 3
"""Numbers of filters in HDF5."""
_CHECKSUM_BYTES = 4
Values = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PlainRows:
    """The values of one array in an open file; see `hdf5_arrays.described`.

    Attributes:
        file: Descriptor of the file.
        shape: Shape of the array.
        dtype: Type of its values.
        chunk: Shape of a chunk; that of the array if it has no chunks.
        is_chunked: Whether it has chunks.
        filters: Numbers of the filters, the first one applied first.
        places: Address, bytes and skipped filters of a chunk, by its offset in the array.
    """

    file: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    is_chunked: bool
    filters: tuple[int, ...]
    places: Mapping[tuple[int, ...], tuple[int, int, int]]

    @classmethod
    def of(cls, file: int, found: Mapping[str, Any]) -> PlainRows | None:
        """Return the rows of a described array, or None if it needs HDF5."""
        if found["code"] is None:
            return None
        return cls(
            file,
            tuple(found["shape"]),
            np.dtype(found["code"]),
            chunk=tuple(found["chunk"] or found["shape"]),
            is_chunked=found["chunk"] is not None,
            filters=tuple(found["filters"]),
            places={tuple(offset): (*place,) for offset, *place in found["places"]},
        )

    def read(self, start: int, stop: int) -> Values:
        """Return rows [start, stop).

        Raises:
            OSError: The file is too short.
            ValueError: A chunk is damaged.
            RuntimeError: A checksum does not match.
        """
        stop = max(start, min(stop, self.shape[0]))
        found = np.empty((stop - start, *self.shape[1:]), self.dtype)
        if found.size and not self.is_chunked:
            row = found.nbytes // len(found)
            data = self._bytes(self.places[(0,) * len(self.shape)][0] + start * row, found.nbytes)
            found.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
        elif found.size:
            for offset in self._offsets(start, stop):
                self._copy(offset, found, start)
        if self.dtype.kind == "b" and found.size and found.view(np.uint8).max() > 1:
            raise ValueError("numbers in place of truth values")
        return found

    def _offsets(self, start: int, stop: int) -> Iterator[tuple[int, ...]]:
        """Return the offsets of the chunks with one of the rows."""
        rows = range(start // self.chunk[0] * self.chunk[0], stop, self.chunk[0])
        pairs = zip(self.shape[1:], self.chunk[1:], strict=True)
        return itertools.product(rows, *(range(0, length, side) for length, side in pairs))

    def _copy(self, offset: tuple[int, ...], found: Values, start: int) -> None:
        """Copy what a chunk has of the rows from `start` on."""
        begins = (offset[0] - start, *offset[1:])
        spans = list(zip(begins, self.chunk, found.shape, strict=True))
        target = tuple(slice(max(at, 0), min(at + side, end)) for at, side, end in spans)
        source = tuple(slice(max(-at, 0), min(end - at, side)) for at, side, end in spans)
        found[target] = self._decoded(offset)[source]

    def _decoded(self, offset: tuple[int, ...]) -> Values:
        """Return a whole chunk; those at the borders are longer than the array."""
        address, size, skipped = self.places[offset]
        data = self._bytes(address, size)
        expected = prod(self.chunk) * self.dtype.itemsize
        for number, kind in reversed(list(enumerate(self.filters))):
            if not skipped >> number & 1:
                data = self._unfiltered(kind, data, expected)
        if len(data) != expected:
            raise ValueError(f"{len(data)} bytes in place of the {expected} of a chunk")
        return np.frombuffer(data, self.dtype).reshape(self.chunk)

    def _unfiltered(self, kind: int, data: bytes, expected: int) -> bytes:
        """Return bytes without one filter."""
        if kind == DEFLATE:
            return inflated(data, expected + _CHECKSUM_BYTES * self.filters.count(FLETCHER))
        if kind == FLETCHER:
            return bytes(Fletcher32().decode(data)) if data else data
        return bytes(Shuffle(self.dtype.itemsize).decode(data))

    def _bytes(self, address: int, size: int) -> bytes:
        data = os.pread(self.file, size, address)
        if len(data) != size:
            raise OSError("the file ends within a chunk")
        return data
