"""Checksums of chunks, and the error for those that have changed. No zarr."""

from __future__ import annotations

from pathlib import Path

import google_crc32c

CHECKSUM_BYTES = 4
_READ = 2**22
"""Bytes of a file that are read at a time."""


class ChunkError(OSError):
    """A chunk has changed since it was written.

    Args:
        number: Its number.
        fault: The fault, e.g. ``is missing``.
    """

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(f"chunk {number} {fault}")
        self.number = number


def checksum(data: bytes) -> bytes:
    """Return the CRC-32C of some bytes, little-endian."""
    return int(google_crc32c.value(data)).to_bytes(CHECKSUM_BYTES, "little")


def checksum_of(path: Path) -> bytes:
    """Return the CRC-32C of a file, little-endian.

    Raises:
        OSError: It cannot be read.
    """
    found = 0
    with path.open("rb") as file:
        while data := file.read(_READ):
            found = google_crc32c.extend(found, data)
    return int(found).to_bytes(CHECKSUM_BYTES, "little")


def unsealed(data: bytes, number: int) -> bytes:
    """Return the bytes of a chunk without the checksum at their end, after comparing it.

    Raises:
        ChunkError: They do not match it.
    """
    body = data[:-CHECKSUM_BYTES]
    if checksum(body) != data[-CHECKSUM_BYTES:]:
        raise ChunkError(number, "does not match its checksum")
    return body
