"""HDF5 store: the same arrays, attributes and manifest in one file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ectool.artifacts.hdf5_nodes import nodes_of
from ectool.artifacts.hdf5_sink import Sink
from ectool.artifacts.integrity import endings
from ectool.artifacts.raw_rows import Seals
from ectool.artifacts.schema import (
    ArrayInfo,
    Arrays,
    ArraySpec,
    as_objects,
    as_text,
    kind_of,
    native,
)
from ectool.errors import InputError

MANIFEST = "manifest"
"""Root attribute with the JSON of the manifest."""


class Hdf5Store:
    """Arrays of one HDF5 file, read by rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = h5py.File(path, "r")
            self._arrays, self._unreadable = nodes_of(self._file)
            self._attributes = _attributes(self._file)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                str(path), expected="an HDF5 file", got=str(error), fix="check the path"
            ) from None

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Return the root attributes except the manifest."""
        return {name: value for name, value in self._attributes.items() if name != MANIFEST}

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, by its path in the file."""
        return {
            name: ArrayInfo(array.shape, str(array.dtype), kind_of(array.dtype))
            for name, array in self._arrays.items()
        }

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Return the reason why an object is not a readable array, by its path."""
        return self._unreadable

    def read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array; text as numpy strings.

        Raises:
            OSError: A checksum does not match.
            UnicodeDecodeError: Text is not UTF-8.
        """
        array = self._arrays[name]
        values = np.asarray(array[start:stop] if array.shape else array[()])
        # Decoded here: many programs do not mark their text as UTF-8.
        return as_text(values) if kind_of(array.dtype) == "T" else native(values)

    def raw_rows(self, name: str, spec: ArraySpec | None, seals: Seals | None) -> None:
        """Return None: chunks are compressed."""

    def manifest(self) -> bytes | None:
        """Return the bytes of the manifest, or None if another program wrote the file."""
        text = self._attributes.get(MANIFEST)
        # The parser of the manifest refuses damaged text.
        return None if text is None else str(text).encode(errors="replace")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Return the root attributes that JSON can represent: no references, none without value."""
    found: dict[str, Any] = {}
    for name in file.attrs:
        try:
            value = _plain(file.attrs[name])
            json.dumps(value)
        except (OSError, TypeError, ValueError):
            if name == MANIFEST:  # without it, nothing would be compared
                raise
            continue
        found[name] = value
    return found


def _plain(value: object) -> object:
    """Return an attribute as a JSON value; HDF5 returns numpy numbers, and text as bytes."""
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


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
