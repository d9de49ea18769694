"""What HDF5 tells of an array, as plain values; run in a child process, see `child`."""

from __future__ import annotations

import math
from typing import Any

import h5py

from ectool.artifacts.guard.bounds import BLOCK_ROWS, ID, size_fault
from ectool.artifacts.guard.hdf5_rows import DEFLATE, FLETCHER, SHUFFLE
from ectool.artifacts.schema import kind_of

BUILT_IN = frozenset([DEFLATE, SHUFFLE, FLETCHER, 4, 5, 6, h5py.h5z.FILTER_LZF])
"""Filters that HDF5 and h5py have: gzip, shuffle, fletcher32, szip, nbit, scaleoffset, lzf."""
MAX_CHUNKS = 1_000_000
ADDRESS = 10
"""Minimum bytes of the length and the place of a text: 16 in most files."""


def described(path: str, dataset: h5py.Dataset, size: int) -> dict[str, Any]:
    """Return shape, type and place of an array.

    Args:
        path: Its path.
        dataset: The array.
        size: Bytes of the file.

    Returns:
        `shape`, `dtype`, `kind`; and for an array that needs no HDF5 to be read, `code` (numpy's
        name of its type), `chunk` (the shape of a chunk, or none), `filters` (their numbers, the
        first one applied first) and `places`: offset in the array, address, bytes, skipped filters.

    Raises:
        OSError: It is no array of numbers or text, its values lie elsewhere, or the file does not
            have them.
    """
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
    _check_place(plist, filters)
    _check_type(dataset)
    chunk = plist.get_chunk() if plist.get_layout() == h5py.h5d.CHUNKED else None
    places = _chunks(dataset, chunk) if chunk else _whole(dataset)
    _check_size(path, dataset, chunk, places, size)
    found = {
        "shape": list(dataset.shape),
        "dtype": str(dataset.dtype),
        "kind": kind_of(dataset.dtype),
        "code": None,
    }
    if _is_plain(dataset, filters, places):
        found |= {"code": dataset.dtype.str, "chunk": chunk, "filters": filters, "places": places}
    return found


def _check_place(plist: h5py.h5p.PropDCID, filters: list[int]) -> None:
    """Check that the values lie in the file, and that no code from elsewhere decodes them."""
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        raise OSError("a virtual dataset, whose values lie elsewhere")
    if plist.get_external_count() > 0:
        raise OSError("values in another file, which is not read")
    if others := sorted(set(filters) - BUILT_IN):
        raise OSError(f"the filter {others[0]}, which is not one of HDF5; gzip is")


def _check_type(dataset: h5py.Dataset) -> None:
    """Check that numpy has a type of numbers or text for the values."""
    dtype = dataset.dtype
    kind = kind_of(dtype)
    if dataset.shape is None:
        raise OSError("no values")
    if kind not in "bifucT" or (kind == "T" and h5py.check_string_dtype(dtype) is None):
        name = type(dataset.id.get_type()).__name__
        raise OSError(f"type {name.removeprefix('Type').removesuffix('ID').lower()}")


def _chunks(dataset: h5py.Dataset, chunk: tuple[int, ...]) -> list[list[Any]]:
    """Return offset, address, bytes and skipped filters of every chunk.

    Raises:
        OSError: Some are missing.
    """
    sides = zip(dataset.shape, chunk, strict=True)
    count = math.prod(-(-length // side) for length, side in sides)
    found: dict[tuple[int, ...], list[Any]] = {}

    def note(info: h5py.h5d.StoreInfo) -> bool | None:
        place = tuple(info.chunk_offset)
        found[place] = [list(place), info.byte_offset, info.size, info.filter_mask]
        return True if len(found) > MAX_CHUNKS else None

    if count:
        dataset.id.chunk_iter(note)
    if len(found) != count:
        raise OSError(f"{count} chunks declared, {len(found)} stored")
    return list(found.values())


def _whole(dataset: h5py.Dataset) -> list[list[Any]]:
    """Return the place of an array that has no chunks, if it has one of its own."""
    place, size = dataset.id.get_offset(), dataset.id.get_storage_size()
    if size < dataset.size * _item(dataset):
        raise OSError(f"{dataset.shape} values declared, {size} bytes stored")
    return [] if place is None or not dataset.shape else [[[0] * dataset.ndim, place, size, 0]]


def _item(dataset: h5py.Dataset) -> int:
    """Return the bytes of an item in the file; of a text, at least those of its address."""
    is_address = dataset.dtype.kind == "O"
    return ADDRESS if is_address else int(dataset.id.get_type().get_size())


def _check_size(
    path: str,
    dataset: h5py.Dataset,
    chunk: tuple[int, ...] | None,
    places: list[list[Any]],
    size: int,
) -> None:
    """Check that an array asks for no more than its bytes allow."""
    if any(start + length > size for _, start, length, _ in places):
        raise OSError("values after the end of the file")
    is_id = path.rpartition("/")[2] == ID
    stored = size if is_id or not chunk else min(size, sum(length for _, _, length, _ in places))
    item, rows = _item(dataset), max(chunk[0] if chunk else 0, BLOCK_ROWS)
    if fault := size_fault(dataset.shape, item, rows, stored, is_id=is_id):
        raise OSError(fault)


def _is_plain(dataset: h5py.Dataset, filters: list[int], places: list[list[Any]]) -> bool:
    """Return whether the values are those of numpy, behind filters that need no HDF5."""
    dtype = dataset.dtype
    if dtype.kind not in "biufS" or not dataset.shape or not (places or dataset.size == 0):
        return False
    starts_at_0 = dataset.file.userblock_size == 0  # else addresses depend on HDF5's version
    known = set(filters) <= {DEFLATE, SHUFFLE, FLETCHER}
    same = dataset.id.get_type().equal(h5py.h5t.py_create(dtype, logical=True))
    return bool(starts_at_0 and known and same)
