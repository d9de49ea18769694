"""Metadata and chunks of Zarr, checked before zarr-python sees them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ectool.artifacts.guard.bounds import SHORT_TEXT, SQUEEZED, inflated, zstd_size

SQUEEZING = {"zstd", "gzip", "zlib", "blosc", "lz4", "bz2", "lzma"}
CODECS = {"bytes", "transpose", "vlen-utf8", "vlen-bytes", "crc32c", "sharding_indexed"}
FILTERS = {"vlen-utf8", "vlen-bytes", "shuffle", "delta", "fixedscaleoffset"}
"""Codecs of version 3 and filters of version 2 that are read; no other code decodes a file."""
MAX_SIDE, MAX_DIMENSIONS = 2**53, 32
_BLOSC_SIZE, _BLOSC_STORED = slice(4, 8), slice(12, 16)


def check_document(found: Any) -> None:  # noqa: ANN401 (a JSON value)
    """Check the metadata of an array or a group of either version.

    Raises:
        ValueError: They are not valid, or name codecs that are not read.
    """
    if not isinstance(found, dict):
        raise ValueError("metadata that are no object")
    if "shape" not in found:
        return
    _check_sides(found["shape"], least=0)
    _check_sides(chunk_of(found), least=1)
    if len(found["shape"]) != len(chunk_of(found)):
        raise ValueError("chunks of other dimensions than the array")
    if found.get("storage_transformers"):
        raise ValueError("storage transformers, which are not read")
    if found.get("zarr_format") == 2:
        _check_names(_ids([found.get("compressor")]), SQUEEZING)
        _check_names(_ids(found.get("filters") or []), FILTERS)
    else:
        _check_codecs(found.get("codecs"), depth=1)


def _check_sides(sides: Any, *, least: int) -> None:  # noqa: ANN401 (a JSON value)
    if not isinstance(sides, list) or len(sides) > MAX_DIMENSIONS:
        raise ValueError("a shape that is none")
    if not all(type(side) is int and least <= side <= MAX_SIDE for side in sides):
        raise ValueError(f"sides that are not between {least} and {MAX_SIDE}")


def chunk_of(found: Mapping[str, Any]) -> list[int]:
    """Return the shape of a chunk in the metadata of an array."""
    grid = found.get("chunks", found.get("chunk_grid"))
    if isinstance(grid, dict) and isinstance(grid.get("configuration"), dict):
        grid = grid["configuration"].get("chunk_shape")
    if not isinstance(grid, list):
        raise ValueError("no shape of chunks")
    return grid


def _check_codecs(codecs: Any, *, depth: int) -> None:  # noqa: ANN401 (a JSON value)
    if not isinstance(codecs, list):
        raise ValueError("no codecs")
    names = _ids(codecs)
    _check_names(names, CODECS | SQUEEZING)
    if sum(name in SQUEEZING for name in names) > 1 or depth < 0:
        raise ValueError("codecs that compress more than once")
    for codec in codecs:
        if isinstance(codec, dict) and codec.get("name") == "sharding_indexed":
            inner = codec.get("configuration")
            if not isinstance(inner, dict):
                raise ValueError("shards without a configuration")
            _check_sides(inner.get("chunk_shape"), least=1)
            _check_codecs(inner.get("codecs"), depth=depth - 1)
            _check_codecs(inner.get("index_codecs"), depth=depth - 1)


def _ids(codecs: Any) -> list[str]:  # noqa: ANN401 (a JSON value)
    """Return the names of codecs; those of version 2 are called ids."""
    if not isinstance(codecs, list):
        raise ValueError("filters that are no list")
    return [
        str(codec.get("name", codec.get("id"))) if isinstance(codec, dict) else str(codec)
        for codec in codecs
        if codec is not None
    ]


def _check_names(names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"the codec {name[:40]}, which is not read; zstd and gzip are")


def check_chunk(found: Mapping[str, Any], data: bytes) -> None:
    """Check that a chunk does not grow beyond its shape when it is decompressed.

    Args:
        found: Metadata of its array, which `check_document` accepts; not of shards.
        data: Its bytes.

    Raises:
        ValueError: It does, or is damaged.
    """
    if found.get("zarr_format") == 2:
        names = _ids([found.get("compressor")])
    else:
        names = _ids(found["codecs"])
    limit = _limit(found, len(data))
    if names[-1:] == ["crc32c"]:
        names, data = names[:-1], data[:-4]
    kind = names[-1] if names else ""
    if kind in ("gzip", "zlib"):
        inflated(data, limit, zlib.MAX_WBITS + 32)
        return
    if kind == "zstd":
        size = zstd_size(data)
    elif kind == "blosc":
        size = _blosc_size(data)
    elif kind == "lz4":
        size = int.from_bytes(data[:4], "little")
    else:
        return
    if size is not None and size > limit:
        raise ValueError(f"{size} bytes in place of the {limit} of a chunk")


def _blosc_size(data: bytes) -> int:
    """Return the size that a blosc chunk declares; blosc itself reads beyond a shortened one."""
    if int.from_bytes(data[_BLOSC_STORED], "little") != len(data):
        raise ValueError(f"a chunk of blosc that is not the {len(data)} bytes it declares")
    return int.from_bytes(data[_BLOSC_SIZE], "little")


def _limit(found: Mapping[str, Any], stored: int) -> int:
    """Return the maximum size of a chunk: that of its numbers, or a multiple for text."""
    form = found.get("data_type", found.get("dtype"))
    try:
        item = np.dtype(form).itemsize if isinstance(form, str) else 0
    except TypeError:
        item = 0
    if item == 0 or form in ("string", "|O"):
        return SHORT_TEXT * 64 + SQUEEZED * stored
    return prod(chunk_of(found)) * item + 4
