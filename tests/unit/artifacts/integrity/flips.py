"""Files with one flipped bit, and the positions where flips are tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def flipped(file: Path, position: int, bit: int = 0) -> Iterator[None]:
    """Flip a bit of a file for the length of a block."""
    data = file.read_bytes()
    other = bytearray(data)
    other[position] ^= 1 << bit
    try:
        file.write_bytes(other)
        yield
    finally:
        file.write_bytes(data)


def positions(file: Path, count: int) -> list[int]:
    """Return positions spread over a file, the first and the last byte among them."""
    last = file.stat().st_size - 1
    return sorted({place * last // max(count - 1, 1) for place in range(count) if last >= 0})
