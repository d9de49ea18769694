"""Zarr v3 store: the primary form of array artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from ectool.artifacts.manifest import FILE_NAME
from ectool.artifacts.raw_rows import RawRows, is_raw
from ectool.artifacts.schema import ArrayInfo, ArraySpec
from ectool.errors import InputError

CODECS = (ZstdCodec(level=1), Crc32cCodec())
"""The default zstd carries no checksum, so a damaged chunk could go unnoticed; crc32c finds it."""


class ZarrStore:
    """Arrays of one Zarr group, read by rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._is_ours = (path / FILE_NAME).exists()
        with _refusing(path):
            self._group = zarr.open_group(str(path), mode="r", zarr_format=3)

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        """Return the arrays; listed when asked for, because an up-to-date check never asks."""
        with _refusing(self.path):
            return _arrays(self._group, self.path)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Return the group's attributes."""
        return dict(self._group.attrs)

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, by its path in the group."""
        return {
            name: ArrayInfo(array.shape, str(array.dtype), _kind(array.dtype))
            for name, array in self._arrays.items()
        }

    def read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array; text as numpy strings.

        Raises:
            OSError: A chunk is missing.
            Exception: Whatever the codecs raise for damaged bytes.
        """
        array = self._arrays[name]
        if self._is_ours:
            self._check_chunks(array, start, stop)
        values = np.asarray(array[start:stop])
        if _kind(values.dtype) == "T":
            return _as_text(values)
        return values

    def _check_chunks(self, array: zarr.Array[Any], start: int, stop: int) -> None:
        """Check that chunks are there; Zarr reads one that is not as zeros, without a word."""
        rows, others = array.chunks[0], (0,) * (array.ndim - 1)
        for number in range(start // rows, -(-stop // rows)):
            key = array.metadata.encode_chunk_key((number, *others))
            if not (self.path / array.path / key).exists():
                raise FileNotFoundError(f"no chunk {key}")

    def raw_rows(self, name: str, spec: ArraySpec | None) -> RawRows | None:
        """Return a reader of any rows in any order, where the array is stored for that."""
        array = self._arrays[name]
        return RawRows(self.path, array) if is_raw(array, spec) else None

    def manifest(self) -> bytes | None:
        """Return the manifest's bytes, or None where somebody else wrote the store."""
        return (self.path / FILE_NAME).read_bytes() if self._is_ours else None

    def close(self) -> None:
        """Do nothing: every read opens and closes its files."""


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what Zarr raises for a folder that is none of its groups into an input error."""
    try:
        yield
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            str(path),
            expected="a Zarr v3 group",
            got=f"{type(error).__name__}: {error}".splitlines()[0],
            fix="check the path",
        ) from None


def _arrays(group: zarr.Group, folder: Path, prefix: str = "") -> dict[str, zarr.Array[Any]]:
    """Return every array below a group by its path.

    Not with `group.members`, which wonders aloud at files that are not Zarr's own.
    """
    found: dict[str, zarr.Array[Any]] = {}
    for name in sorted(path.parent.name for path in folder.glob("*/zarr.json")):
        node = group[name]
        if isinstance(node, zarr.Array):
            found[prefix + name] = node
        else:
            found |= _arrays(node, folder / name, f"{prefix}{name}/")
    return found


def _kind(dtype: np.dtype[Any]) -> str:
    return "T" if dtype.kind in "TUSO" else dtype.kind


def _as_text(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return text of any of numpy's kinds as numpy strings."""
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    return values.astype(np.dtypes.StringDType())


def remove_unfinished(path: Path) -> None:
    """Remove files that a killed writer left: zarr writes beside each file, then renames."""
    for leftover in path.rglob("*.partial"):
        leftover.unlink()


def create_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Create an empty Zarr v3 group, or keep the one that is there."""
    if not (path / "zarr.json").exists():
        zarr.create_group(str(path), zarr_format=3, attributes=dict(attributes))


def create_array(
    path: Path,
    name: str,
    sample: np.ndarray[Any, Any],
    length: int,
    rows: int,
    spec: ArraySpec,
) -> None:
    """Create an array whose rows look like `sample`'s, in chunks of `rows` rows.

    A chunk is a whole shard, so that no two writers ever touch one file.
    """
    text = sample.dtype.kind in "TUO"
    shape = (length, *sample.shape[1:])
    root = zarr.open_group(str(path), mode="r+")
    if "/" in name:
        # First, so that whoever is killed in between leaves no array that no group lists.
        root.require_group(name.rpartition("/")[0])
    root.create_array(
        name,
        shape=shape,
        dtype="string" if text else sample.dtype,
        chunks=(min(rows, length), *sample.shape[1:]),
        compressors=CODECS[-1:] if spec.raw else CODECS,
        dimension_names=spec.dims_of(sample.ndim),
        fill_value="" if text else 0,
    )


def write_rows(path: Path, name: str, start: int, values: np.ndarray[Any, Any]) -> None:
    """Write whole chunks of rows that begin at `start`."""
    array = zarr.open_array(str(path / name), mode="r+")
    # An all-zero chunk that is not written could not be told from a missing one.
    array = array.with_config({"write_empty_chunks": True})
    array[start : start + len(values)] = values
