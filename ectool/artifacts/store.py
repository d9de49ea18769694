"""One interface to Zarr folders and HDF5 files, chosen by suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ectool.artifacts.manifest import FILE_NAME, Manifest, parse_manifest, stored_manifest
from ectool.artifacts.raw_rows import Seals
from ectool.artifacts.schema import ArrayInfo, ArraySpec
from ectool.errors import InputError, IntegrityError
from ectool.remote.reading import look

HDF5_SUFFIXES = (".h5", ".hdf5")
ZARR_SUFFIX = ".zarr"


RowReader = Callable[[np.ndarray[Any, np.dtype[np.int64]]], np.ndarray[Any, Any]]


class Store(Protocol):
    """Arrays by name, read by rows; Zarr and HDF5 implement it."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Return the root attributes."""
        ...

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array."""
        ...

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Return the reason why an object is not a readable array, by its path."""
        ...

    def read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array."""
        ...

    def raw_rows(self, name: str, spec: ArraySpec | None, seals: Seals | None) -> RowReader | None:
        """Return a reader of single rows, or None if the array is not stored raw."""
        ...

    def manifest(self) -> bytes | None:
        """Return the bytes of the manifest, if there is one."""
        ...

    def close(self) -> None:
        """Close open files."""
        ...


def open_store(path: Path) -> Store:
    """Open a store in the format of the suffix.

    Raises:
        InputError: The path does not exist, or is neither Zarr nor HDF5.
    """
    look(path)
    if not path.exists():
        raise InputError(
            str(path), expected="an artifact", got="no such file", fix="run the stage that makes it"
        )
    if path.suffix in HDF5_SUFFIXES:
        from ectool.artifacts.hdf5_store import Hdf5Store

        return Hdf5Store(path)
    if path.suffix == ZARR_SUFFIX:
        from ectool.artifacts.zarr_store import ZarrStore

        return ZarrStore(path)
    raise InputError(
        str(path),
        expected=f"a name that ends in {ZARR_SUFFIX} or {' or '.join(HDF5_SUFFIXES)}",
        got=path.suffix or "no suffix",
        fix="rename it or choose another artifact",
    )


def check_suffix(path: Path) -> Path:
    """Return the path if its suffix is that of a store.

    Raises:
        InputError: It is not.
    """
    if path.suffix in (ZARR_SUFFIX, *HDF5_SUFFIXES):
        return path
    raise InputError(
        str(path),
        expected=f"an output that ends in {ZARR_SUFFIX} or {' or '.join(HDF5_SUFFIXES)}",
        got=path.suffix or "no suffix",
        fix="change --output",
    )


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of any artifact, or None without manifest or artifact.

    Raises:
        InputError, IntegrityError: The manifest cannot be read.
    """
    look(path)
    if path.is_dir():
        text = stored_manifest(path)
        return None if text is None else parse_manifest(text, path / FILE_NAME)
    if path.suffix in HDF5_SUFFIXES and path.exists():
        store = open_store(path)
        try:
            text = store.manifest()
        finally:
            store.close()
        return None if text is None else parse_manifest(text, path)
    return None


def known_manifest(path: Path) -> Manifest | None:
    """Return the manifest of an artifact; None if there is none that this version can read."""
    try:
        return read_manifest(path)
    except (InputError, IntegrityError):  # of another version, for example
        return None
