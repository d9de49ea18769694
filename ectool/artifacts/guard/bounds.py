"""Sizes that a file declares, compared with the bytes that it has. No zarr, no h5py."""

from __future__ import annotations

import os
import zlib
from math import prod

ROOM = 2**28
"""Bytes that any file may ask for, however small it is."""
SQUEEZED = 1_100
"""Largest plausible size of what is read at once, as a multiple of its stored bytes: gzip's."""
SQUEEZED_IN_ALL = 40_000
"""Largest size of an array, as a multiple of its stored bytes: that of zeros in zstd."""
ID = "sample_id"
"""The array whose rows all differ."""
ROWS_PER_BYTE = 64
"""Largest number of samples for each stored byte of their ids, which all differ."""
BLOCK_ROWS = 4096
"""Rows read at a time from a file of another program."""
_FRAME = 6
SHORT_TEXT = 2**20
"""Bytes of text that any file may have."""


def size_fault(
    shape: tuple[int, ...], item: int, chunk_rows: int, stored: int, *, is_id: bool = False
) -> str | None:
    """Return what is wrong with the size that an array declares; None if it is plausible.

    Args:
        shape: Shape of the array.
        item: Bytes of an item.
        chunk_rows: Rows that are read at once.
        stored: Bytes that hold the array.
        is_id: Whether all its rows differ.
    """
    rows = shape[0] if shape else 1
    row = prod(shape[1:]) * item
    whole, block = rows * row, min(rows, chunk_rows) * row
    if whole > ROOM and whole > SQUEEZED_IN_ALL * stored:
        return f"{whole} bytes declared, {stored} stored"
    if block > ROOM and block > SQUEEZED * stored:
        return f"{block} bytes declared in one block, {stored} stored"
    if is_id and rows > ROWS_PER_BYTE * (stored + BLOCK_ROWS):
        return f"{rows} rows declared, {stored} bytes stored"
    return None


def real_bytes(found: os.stat_result) -> int:
    """Return the size of a file, less what was never written to a sparse one."""
    # Some file systems count blocks late, or compress them: hence the margin.
    return min(found.st_size, max(ROOM, SQUEEZED * 512 * found.st_blocks))


def inflated(data: bytes | memoryview, limit: int, window: int = zlib.MAX_WBITS) -> bytes:
    """Return bytes that were deflated.

    Args:
        data: The bytes.
        limit: Maximum length of the result.
        window: zlib's `wbits`: the container that is expected.

    Raises:
        ValueError: They are damaged, or hold more than the limit.
    """
    stream = zlib.decompressobj(window)
    try:
        found = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"cannot be decompressed: {error}") from None
    if len(found) > limit:
        raise ValueError(f"more than the {limit} bytes of a chunk")
    if not stream.eof:
        raise ValueError("ends within a chunk")
    return found


def check_zstd(data: bytes, size: int | None) -> None:
    """Check what a zstd frame declares before a decoder allocates it.

    Args:
        data: The frame.
        size: Size of its content; of text, which is unknown, None.

    Raises:
        ValueError: It declares another size, or more than any text of its length has.
    """
    found = zstd_size(data)
    limit = 64 * SHORT_TEXT + SQUEEZED * len(data) if size is None else size
    if found is None or found > limit or (size is not None and found != size):
        raise ValueError(f"{found} bytes in place of the {limit} of a chunk")


def zstd_size(data: bytes) -> int | None:
    """Return the size that a zstd frame declares for its content; None if it declares none.

    Raises:
        ValueError: It is no frame.
    """
    if data[:4] != b"\x28\xb5\x2f\xfd" or len(data) < _FRAME:
        raise ValueError("no zstd frame")
    flags = data[4]
    is_single = flags >> 5 & 1
    start = 5 + (1 - is_single) + (0, 1, 2, 4)[flags & 3]
    length = (is_single, 2, 4, 8)[flags >> 6]
    size = int.from_bytes(data[start : start + length], "little")
    return None if length == 0 else size + (256 if length == 2 else 0)
