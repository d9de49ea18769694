"""HDF5 store: the same arrays, attributes and manifest in one file."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ectool.artifacts.guard.hdf5_file import MANIFEST, description, opened, read_rows, read_texts
from ectool.artifacts.guard.hdf5_rows import PlainRows
from ectool.artifacts.hdf5_sink import Sink
from ectool.artifacts.integrity import endings
from ectool.artifacts.raw_rows import Seals
from ectool.artifacts.schema import (
    ArrayInfo,
    Arrays,
    ArraySpec,
    as_objects,
    as_text,
    native,
)


class Hdf5Store:
    """Arrays of one HDF5 file, read by rows; HDF5 itself runs in a child process.

    Args:
        path: The file.

    Raises:
        InputError: It is no HDF5 file.
        IntegrityError: It is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = opened(path)
        self._end = weakref.finalize(self, os.close, self._file)
        try:
            self._found = description(path, self._file)
        except BaseException:
            self.close()
            raise
        self._rows: dict[str, PlainRows | None] = {}
        self._texts: dict[str, np.ndarray[Any, Any]] = {}

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Return the root attributes except the manifest."""
        return {name: v for name, v in self._found["attributes"].items() if name != MANIFEST}

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, by its path in the file."""
        return {
            name: ArrayInfo(tuple(array["shape"]), array["dtype"], array["kind"])
            for name, array in self._found["arrays"].items()
        }

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Return the reason why an object is not a readable array, by its path."""
        found: Mapping[str, str] = self._found["unreadable"]
        return found

    def read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array; text as numpy strings.

        Raises:
            OSError: A chunk is damaged, or HDF5 crashes.
            ValueError: A chunk has another length.
            RuntimeError: A checksum does not match.
            UnicodeDecodeError: Text is not UTF-8.
        """
        array = self._found["arrays"][name]
        if array["dtype"] == "object":
            return self._text(name)[start:stop] if array["shape"] else self._text(name)
        plain = self._plain(name)
        values = (
            read_rows(self.path, name, start, stop) if plain is None else plain.read(start, stop)
        )
        # Decoded here: many programs do not mark their text as UTF-8.
        return as_text(values) if array["kind"] == "T" else native(values)

    def _plain(self, name: str) -> PlainRows | None:
        if name not in self._rows:
            self._rows[name] = PlainRows.of(self._file, self._found["arrays"][name])
        return self._rows[name]

    def _text(self, name: str) -> np.ndarray[Any, Any]:
        """Return a whole array of text, once: ids are needed together."""
        if name not in self._texts:
            self._texts[name] = as_text(read_texts(self.path, name, self._found))
        return self._texts[name]

    def raw_rows(self, name: str, spec: ArraySpec | None, seals: Seals | None) -> None:
        """Return None: chunks are compressed."""

    def manifest(self) -> bytes | None:
        """Return the bytes of the manifest, or None if another program wrote the file."""
        text = self._found["attributes"].get(MANIFEST)
        # The parser of the manifest refuses damaged text.
        return None if text is None else str(text).encode(errors="replace")

    def close(self) -> None:
        """Close the file."""
        self._end()


def write_file(
    path: Path,
    shards: Iterable[tuple[int, Arrays]],
    others: Arrays,
    *,
    length: int,
    rows: int,
    dims: Mapping[str, tuple[str, ...]],
    attributes: Mapping[str, Any],
    manifest: bytes | None,
) -> None:
    """Write a whole HDF5 file shard by shard; its bytes depend only on the arguments.

    Args:
        path: The file.
        shards: First row and columns of each shard.
        others: Arrays without a row for each sample.
        length: Number of samples.
        rows: Rows of a chunk.
        dims: Names of the dimensions of each array.
        attributes: Root attributes.
        manifest: The manifest's bytes, if there is one.

    Raises:
        OSError: The disk is full.
    """
    with Sink(path) as sink:
        with h5py.File(sink, "w") as file:
            for name, value in {**attributes, **_manifest(manifest)}.items():
                _set_attribute(file, name, value)
            for start, arrays in shards:
                for name in sorted(arrays):
                    if name not in file:
                        _create(file, name, arrays[name], length, rows, dims[name])
                    file[name][start : start + len(arrays[name])] = as_objects(arrays[name])
                    sink.check()
            for name, values in others.items():
                file.create_dataset(name, data=as_objects(values), dtype=_type(values))
                sink.check()
        sink.check()
    endings.append(path)


def _manifest(manifest: bytes | None) -> dict[str, str]:
    return {} if manifest is None else {MANIFEST: manifest.decode()}


def _type(values: np.ndarray[Any, Any]) -> np.dtype[Any]:
    text: np.dtype[Any] = h5py.string_dtype()
    return text if values.dtype.kind == "T" else values.dtype


def _set_attribute(file: h5py.File, name: str, value: object) -> None:
    """Store an attribute; as JSON if HDF5 has no type for it, such as a dictionary."""
    try:
        file.attrs[name] = value
    except (TypeError, ValueError):
        file.attrs[name] = json.dumps(value)


def _create(
    file: h5py.File,
    name: str,
    sample: np.ndarray[Any, Any],
    length: int,
    rows: int,
    dims: tuple[str, ...],
) -> None:
    """Create a dataset in chunks of whole shards, with checksums."""
    dataset = file.create_dataset(
        name,
        shape=(length, *sample.shape[1:]),
        dtype=_type(sample),
        chunks=(min(rows, length), *(max(side, 1) for side in sample.shape[1:])),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
        fletcher32=sample.dtype.kind != "T",  # HDF5 cannot checksum text of varying length
    )
    for axis, dim in enumerate(dims):
        dataset.dims[axis].label = dim
