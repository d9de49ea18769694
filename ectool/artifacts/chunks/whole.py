"""Whole chunks of the arrays that this package writes, without zarr's event loop.

zarr-python needs two milliseconds for any chunk, more than reading and decoding most of them. An
array of another form is left to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import Zstd

from ectool.artifacts.chunks.chunk_files import chunk_key
from ectool.artifacts.chunks.seal import checksum, unsealed
from ectool.artifacts.guard.bounds import check_zstd
from ectool.artifacts.guard.within import read_within
from ectool.artifacts.schema import as_text
from ectool.errors import IntegrityError
from ectool.parsing import read_object
from ectool.remote.reading import contents
from ectool.writing import write_atomic

Values = np.ndarray[Any, Any]
METADATA = "zarr.json"
TEXT = "string"
NUMBERS = frozenset(
    ["bool", *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64))]
) | frozenset(f"float{bits}" for bits in (16, 32, 64))
"""Names of types that are the same in Zarr and in numpy."""


@dataclass(frozen=True)
class Chunks:
    """The chunk files of one array; a chunk holds whole rows.

    Attributes:
        folder: Folder of the array.
        shape: Shape of the array.
        rows: Rows of a chunk.
        dtype: Type of the numbers; None for text.
        level: Level of zstd; None if chunks are not compressed.
    """

    folder: Path
    shape: tuple[int, ...]
    rows: int
    dtype: np.dtype[Any] | None
    level: int | None

    @classmethod
    def of(cls, folder: Path) -> Chunks | None:
        """Return the chunks of an array, or None if it has another form than ours."""
        file = folder / METADATA
        found: Mapping[str, Any] = read_object(file, kind=IntegrityError) if file.exists() else {}
        shape, form = tuple(found.get("shape", ())), found.get("data_type")
        if not shape or not (form == TEXT or form in NUMBERS):
            return None
        grid, codecs = found["chunk_grid"], found["codecs"]
        chunk = tuple(grid["configuration"].get("chunk_shape", ()))
        if chunk[1:] != tuple(max(side, 1) for side in shape[1:]) or 0 in shape[1:]:
            return None
        if found["chunk_key_encoding"] != _KEYS or not _is_ours(form == TEXT, codecs):
            return None
        level = codecs[1]["configuration"]["level"] if codecs[1]["name"] == _ZSTD else None
        dtype = None if form == TEXT else np.dtype(form).newbyteorder("<")
        return cls(folder, shape, chunk[0], dtype, level)

    def read(self, start: int, stop: int) -> Values:
        """Return rows [start, stop); text as numpy strings.

        Raises:
            OSError: A chunk is missing, or does not match its checksum.
            ValueError: A chunk has another length.
            RuntimeError: It cannot be decompressed or decoded.
        """
        parts = []
        for number in range(start // self.rows, -(-stop // self.rows)):
            first = number * self.rows
            chunk = self._decoded(self._bytes(number), number)
            parts.append(chunk[max(start - first, 0) : stop - first])
        if not parts:
            return np.empty((0, *self.shape[1:]), self.dtype or np.dtypes.StringDType())
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def write(self, start: int, values: Values) -> None:
        """Write whole chunks of rows that begin at `start`, each in one step.

        Raises:
            OSError: The disk is full, or another error.
        """
        for first in range(0, len(values), self.rows):
            file = self.folder / self._key((start + first) // self.rows)
            file.parent.mkdir(parents=True, exist_ok=True)
            data = self._encoded(values[first : first + self.rows])
            write_atomic(file, data, is_flushed=False)  # before it is published

    def _bytes(self, number: int) -> bytes:
        file = self.folder / self._key(number)
        data: bytes | None
        try:
            data = read_within(self.folder, file)
        except FileNotFoundError:
            data = contents(file)
        if data is None:
            raise FileNotFoundError(f"no chunk {self._key(number)}")
        return data

    def _key(self, number: int) -> str:
        return chunk_key(number, len(self.shape))

    def _decoded(self, data: bytes, number: int) -> Values:
        body = unsealed(data, number)
        if self.level is not None:
            items = self.rows * prod(self.shape[1:])
            check_zstd(body, items * self.dtype.itemsize if self.dtype is not None else None)
            body = Zstd().decode(body)
        if self.dtype is None:
            return as_text(VLenUTF8().decode(body))
        values = np.frombuffer(body, self.dtype).reshape(self.rows, *self.shape[1:])
        # Callers may write into the rows, and torch warns of arrays that it cannot write.
        return values.astype(self.dtype.newbyteorder("="), copy=not values.flags.writeable)

    def _encoded(self, values: Values) -> bytes:
        """Return the bytes of a chunk; the last one is filled with zeros or empty text."""
        lacking = self.rows - len(values)
        if self.dtype is None:
            texts = np.array([*values.tolist(), *[""] * lacking], object)
            body = bytes(VLenUTF8().encode(texts))
        else:
            body = np.ascontiguousarray(values, self.dtype).tobytes()
            body += bytes(lacking * len(body) // max(len(values), 1))
        if self.level is not None:
            body = bytes(Zstd(self.level).encode(body))
        return body + checksum(body)


_KEYS = {"name": "default", "configuration": {"separator": "/"}}
_ZSTD, _CRC = "zstd", "crc32c"


def _is_ours(is_text: bool, codecs: list[dict[str, Any]]) -> bool:
    """Return whether an array has the codecs that `zarr_store` writes."""
    names = [codec["name"] for codec in codecs]
    serializer = "vlen-utf8" if is_text else "bytes"
    big = codecs[0].get("configuration", {}).get("endian") == "big"
    plain = [codec for codec in codecs if codec["name"] == _ZSTD]
    checked = any(codec["configuration"].get("checksum") for codec in plain)
    return names in ([serializer, _ZSTD, _CRC], [serializer, _CRC]) and not (big or checked)
