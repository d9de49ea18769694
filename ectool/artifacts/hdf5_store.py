"""HDF5 store: the same arrays, attributes and manifest in one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ectool.artifacts.hdf5_sink import Sink
from ectool.artifacts.schema import ArrayInfo, Arrays, ArraySpec
from ectool.errors import InputError

MANIFEST = "manifest"
"""Root attribute that holds the manifest's JSON."""


class Hdf5Store:
    """Arrays of one HDF5 file, read by rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrays: dict[str, h5py.Dataset] = {}
        try:
            self._file = h5py.File(path, "r")
            self._file.visititems(self._note)
            self._attributes = {name: _plain(value) for name, value in self._file.attrs.items()}
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise InputError(
                str(path), expected="an HDF5 file", got=str(error), fix="check the path"
            ) from None

    def _note(self, name: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            self._arrays[name] = node

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Return the root attributes but for the manifest."""
        return {name: value for name, value in self._attributes.items() if name != MANIFEST}

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, by its path in the file."""
        return {
            name: ArrayInfo(array.shape, str(array.dtype), _kind(array.dtype))
            for name, array in self._arrays.items()
        }

    def read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array; text as numpy strings.

        Raises:
            OSError: A checksum does not match.
        """
        array = self._arrays[name]
        if _kind(array.dtype) == "T":
            return np.asarray(array.asstr()[start:stop], dtype=np.dtypes.StringDType())
        return np.asarray(array[start:stop])

    def raw_rows(self, name: str, spec: ArraySpec | None) -> None:
        """Return None: chunks are compressed."""

    def manifest(self) -> bytes | None:
        """Return the manifest's bytes, or None where somebody else wrote the file."""
        text = self._attributes.get(MANIFEST)
        # Damaged text is left to the manifest's parser to refuse.
        return None if text is None else str(text).encode(errors="replace")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _plain(value: object) -> object:
    """Return an attribute as JSON can hold it; HDF5 hands out numpy numbers, and text as bytes."""
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else value


def _kind(dtype: np.dtype[Any]) -> str:
    return "T" if dtype.kind in "OSU" else dtype.kind


def write_file(
    path: Path,
    shards: Iterable[tuple[int, Arrays]],
    *,
    length: int,
    rows: int,
    dims: Mapping[str, tuple[str, ...]],
    attributes: Mapping[str, Any],
    manifest: bytes | None,
) -> None:
    """Write a whole HDF5 file shard by shard; bytes depend on nothing but the arguments.

    Raises:
        OSError: The disk is full.
    """
    with Sink(path) as sink:
        _write_into(sink, shards, length, rows, dims, {**attributes, **_manifest(manifest)})
        sink.check()


def _manifest(manifest: bytes | None) -> dict[str, str]:
    return {} if manifest is None else {MANIFEST: manifest.decode()}


def _write_into(
    sink: Sink,
    shards: Iterable[tuple[int, Arrays]],
    length: int,
    rows: int,
    dims: Mapping[str, tuple[str, ...]],
    attributes: Mapping[str, Any],
) -> None:
    with h5py.File(sink, "w") as file:
        file.attrs.update(attributes)
        for start, arrays in shards:
            for name in sorted(arrays):
                values = arrays[name]
                if name not in file:
                    _create(file, name, values, length, rows, dims[name])
                stored = values.astype(object) if values.dtype.kind == "T" else values
                file[name][start : start + len(values)] = stored
                sink.check()


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
        dtype=h5py.string_dtype() if sample.dtype.kind == "T" else sample.dtype,
        chunks=(min(rows, length), *sample.shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
        fletcher32=sample.dtype.kind != "T",  # HDF5 cannot checksum text of varying length
    )
    for axis, dim in enumerate(dims):
        dataset.dims[axis].label = dim
