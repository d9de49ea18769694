"""Zarr store, the primary form of array artifacts: version 3, and version 2 for reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.storage import LocalStore

from ectool.artifacts.chunks.single_rows import SingleRows
from ectool.artifacts.chunks.whole import Chunks
from ectool.artifacts.guard.zarr_files import CheckedStore, array_fault
from ectool.artifacts.manifest import FILE_NAME, stored_manifest
from ectool.artifacts.raw_rows import RawRows, Seals, is_raw
from ectool.artifacts.schema import ArrayInfo, ArraySpec, as_text, kind_of, native
from ectool.artifacts.store import RowReader
from ectool.errors import EctoolError, InputError
from ectool.remote.reading import need, published

MAX_OBJECTS, MAX_DEPTH = 10_000, 8
"""Maximum number of objects of a group, and of groups in each other."""
CODECS = (ZstdCodec(level=1), Crc32cCodec())
"""The default zstd has no checksum; crc32c detects damaged chunks."""


class ZarrStore:
    """Arrays of one Zarr group, read by rows.

    Args:
        path: Its folder.
        is_ours: Whether this package wrote it. Default: whether it has a manifest.
    """

    def __init__(self, path: Path, *, is_ours: bool | None = None) -> None:
        self.path = path
        self._is_ours = (path / FILE_NAME).exists() if is_ours is None else is_ours
        self._known: dict[str, Chunks | SingleRows | None] = {}
        with _refusing(path):
            # Consolidated metadata may be older than the arrays, and save no time here.
            self._group = zarr.open_group(
                CheckedStore(path, read_only=True),
                mode="r",
                zarr_format=2 if _is_version_2(path) else 3,
                use_consolidated=False,
            )

    @cached_property
    def _nodes(self) -> tuple[dict[str, zarr.Array[Any]], dict[str, str]]:
        """Return the arrays and the unreadable objects; slow, so only on access."""
        with _refusing(self.path):
            found, unreadable = _nodes(self._group, self.path)
        if published(self.path) is None:  # else its files come when they are read
            for name, array in list(found.items()):
                if fault := array_fault(self.path / name, array, is_ours=self._is_ours):
                    unreadable[name] = fault
                    del found[name]
        return found, unreadable

    @property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        return self._nodes[0]

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Return the reason why an object is not a readable array, by its path."""
        return self._nodes[1]

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Return the group's attributes."""
        return dict(self._group.attrs)

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, by its path in the group."""
        return {
            name: ArrayInfo(array.shape, str(array.dtype), kind_of(array.dtype))
            for name, array in self._arrays.items()
        }

    def read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array; text as numpy strings.

        Raises:
            OSError: A chunk is missing.
            UnicodeDecodeError: Text is not UTF-8.
            Exception: Whatever the codecs raise for damaged bytes.
        """
        array = self._arrays[name]
        if self._is_ours:
            if array.ndim and (chunks := self._chunks(name)) is not None:
                return chunks.read(start, min(stop, array.shape[0]))
            self._check_chunks(name, array, start, stop)
        values = np.asarray(array[start:stop] if array.ndim else array[...])
        return as_text(values) if kind_of(values.dtype) == "T" else native(values)

    def _chunks(self, name: str) -> Chunks | SingleRows | None:
        """Return the chunks of an array in the form that this package writes."""
        if name not in self._known:
            whole = Chunks.of(self.path / name)
            self._known[name] = whole or SingleRows.of(self.path, name)
        return self._known[name]

    def _check_chunks(self, name: str, array: zarr.Array[Any], start: int, stop: int) -> None:
        """Check that chunks exist; Zarr reads a missing one as zeros without an error."""
        rows, others = array.chunks[0], (0,) * (array.ndim - 1)
        for number in range(start // rows, -(-stop // rows)):
            key = array.metadata.encode_chunk_key((number, *others))
            file = self.path / name / key
            if not (file.exists() or need(file)):
                raise FileNotFoundError(f"no chunk {key}")

    def raw_rows(self, name: str, spec: ArraySpec | None, seals: Seals | None) -> RowReader | None:
        """Return a reader of single rows, or None if they cannot be read without others."""
        array = self._arrays[name]
        rows = (array.shards or array.chunks)[0]
        shards_are_chunks = seals is None or len(seals) == -(-array.shape[0] // rows)
        if spec is not None and spec.by_row and shards_are_chunks:
            return SingleRows.of(self.path, name, seals)
        if not (is_raw(array, spec) and shards_are_chunks):
            return None
        return RawRows(self.path, name, array, seals)

    def manifest(self) -> bytes | None:
        """Return the bytes of the manifest, or None if another program wrote the store."""
        return stored_manifest(self.path) if self._is_ours else None

    def close(self) -> None:
        """Do nothing: every read opens and closes its files."""


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn the errors of Zarr for a folder that is not a group into an input error."""
    try:
        yield
    except EctoolError:
        raise
    except Exception as error:  # Zarr checks little of its metadata; others raise anything
        raise InputError(
            str(path),
            expected="a Zarr v3 group, or one of v2",
            got=_found_instead(path) or f"{type(error).__name__}: {error}".splitlines()[0],
            fix="check the path",
        ) from None


def _is_version_2(path: Path) -> bool:
    return (path / ".zgroup").exists() and not (path / "zarr.json").exists()


def _found_instead(path: Path) -> str | None:
    """Return what was found instead of a group; empty if unknown."""
    if (path / ".zarray").exists():
        return "a single array, of Zarr v2"
    return None if path.is_dir() else "a file"


def _nodes(
    group: zarr.Group, folder: Path, prefix: str = ""
) -> tuple[dict[str, zarr.Array[Any]], dict[str, str]]:
    """Return every array below a group by its path, and the unreadable objects.

    `group.members` would warn of files that are not of Zarr.
    """
    found: dict[str, zarr.Array[Any]] = {}
    unreadable: dict[str, str] = {}
    if prefix.count("/") > MAX_DEPTH:
        raise ValueError(f"more than {MAX_DEPTH} groups in each other")
    for name in _names(folder, group.metadata.zarr_format):
        try:
            node = group[name]
        except Exception as error:  # libraries raise anything for damaged metadata
            unreadable[prefix + name] = f"{type(error).__name__}: {error}".splitlines()[0]
            continue
        if isinstance(node, zarr.Group):
            arrays, others = _nodes(node, folder / name, f"{prefix}{name}/")
            found |= arrays
            unreadable |= others
        elif node.dtype.kind in "VM" or node.dtype.kind == "m":
            unreadable[prefix + name] = f"type {node.dtype}"
        else:
            found[prefix + name] = node
    return found, unreadable


def _names(folder: Path, version: int) -> list[str]:
    """Return the names of a group's arrays and groups."""
    files = ("zarr.json",) if version == 3 else (".zarray", ".zgroup")
    found = sorted(path.parent.name for file in files for path in folder.glob(f"*/{file}"))
    if len(found) > MAX_OBJECTS:
        raise ValueError(f"more than {MAX_OBJECTS} objects")
    return found


def files_of(path: Path, names: Iterable[str], number: int) -> list[Path]:
    """Return the files that hold a row of chunks of arrays, and those that describe the arrays."""
    found = {path / "zarr.json"}
    for name in names:
        folder = path / name
        found |= {one / "zarr.json" for one in (folder, *folder.parents) if path in one.parents}
        found |= {one for one in (folder / "c" / str(number)).rglob("*") if one.is_file()}
        found |= {one for one in (folder / "c" / str(number),) if one.is_file()}
    return sorted(found)


def create_group(path: Path, attributes: Mapping[str, Any]) -> None:
    """Create an empty Zarr v3 group, or add missing attributes to an existing one."""
    if not (path / "zarr.json").exists():
        zarr.create_group(LocalStore(path), zarr_format=3, attributes=dict(attributes))
        return
    group = zarr.open_group(LocalStore(path), mode="r+", use_consolidated=False)
    if lacking := {name: attributes[name] for name in attributes if name not in group.attrs}:
        group.update_attributes(lacking)


def create_array(
    path: Path,
    name: str,
    sample: np.ndarray[Any, Any],
    length: int,
    rows: int,
    spec: ArraySpec,
) -> None:
    """Create an array with rows of the type and shape of `sample`, in chunks of `rows` rows.

    A file is a whole shard, so that no two writers ever touch one file.
    """
    text = sample.dtype.kind in "TUO"
    shape, chunk = (length, *sample.shape[1:]), (min(rows, length), *sample.shape[1:])
    if sample.ndim == 0:
        shape = chunk = ()
    root = zarr.open_group(LocalStore(path), mode="r+", use_consolidated=False)
    if "/" in name:
        # First, so that a killed process leaves no array that no group lists.
        root.require_group(name.rpartition("/")[0])
    sides = tuple(max(side, 1) for side in chunk)
    root.create_array(
        name,
        shape=shape,
        dtype="string" if text else sample.dtype,
        chunks=(1, *sides[1:]) if spec.by_row else sides,
        shards=sides if spec.by_row else None,
        compressors=CODECS[-1:] if spec.raw else CODECS,
        dimension_names=spec.dims_of(sample.ndim),
        fill_value="" if text else 0,
    )


def write_whole(path: Path, name: str, values: np.ndarray[Any, Any], spec: ArraySpec) -> None:
    """Write an array of any shape, in one chunk."""
    length = len(values) if values.ndim else 1
    create_array(path, name, values, length=length, rows=max(length, 1), spec=spec)
    array = zarr.open_array(LocalStore(path / name), mode="r+")
    array.with_config({"write_empty_chunks": True})[...] = values


def write_rows(path: Path, name: str, start: int, values: np.ndarray[Any, Any]) -> None:
    """Write whole chunks of rows that begin at `start`."""
    chunks = Chunks.of(path / name)
    if chunks is not None:
        chunks.write(start, values)
        return
    array = zarr.open_array(LocalStore(path / name), mode="r+")
    # An all-zero chunk that is not written would look like a missing one.
    array = array.with_config({"write_empty_chunks": True})
    array[start : start + len(values)] = values
