"""Changes of the bytes of a file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

EXTREMES = tuple(
    value.to_bytes(size, "little", signed=True)
    for size in (1, 2, 4, 8)
    for value in (0, -1, 2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)))
)
NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"99999999999",
    b"9223372036854775808",
    b"NaN",
    b"0.5",
    b"1" * 400,
)
HUGE = 8 << 30
"""Size of a sparse file in bytes."""


def flip_bits(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_byte(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :]


def truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def append(content: bytes, rng: random.Random) -> bytes:
    return content + rng.choice((b"\0", b"}", b"\n", content, rng.randbytes(64)))


def remove_chunk(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def repeat_chunk(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:stop] + content[start:stop] * rng.choice((1, 1, 9)) + content[stop:]


def move_chunk(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    place = rng.randrange(len(content))
    return content[:place] + content[start:stop] + content[place + stop - start :]


def clear_chunk(content: bytes, rng: random.Random) -> bytes:
    start, stop = _span(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def insert_noise(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + rng.randbytes(rng.choice((1, 4, 33))) + content[place:]


def set_integer(content: bytes, rng: random.Random) -> bytes:
    """Overwrite a field with an extreme integer, in either byte order."""
    value = rng.choice(EXTREMES)[:: rng.choice((1, -1))]
    place = rng.randrange(max(1, min(len(content), rng.choice((64, 1024, 1 << 30)))))
    return content[:place] + value + content[place + len(value) :]


def set_number(content: bytes, rng: random.Random) -> bytes:
    """Replace a decimal number of a text with an extreme one."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[:1_000_000]))
    if not found:
        return set_integer(content, rng)
    chosen = rng.choice(found)
    return content[: chosen.start()] + rng.choice(NUMBERS) + content[chosen.end() :]


def empty(content: bytes, rng: random.Random) -> bytes:
    return b""


CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(flip_bits, flip_bits, flip_bits, set_byte, truncate, append, remove_chunk, repeat_chunk),
    *(move_chunk, clear_chunk, insert_noise, set_integer, set_integer, set_number, empty),
)


def _span(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content))
    return start, min(len(content), start + rng.choice((1, 4, 16, 64, 512, 4096)))


def change_bytes(path: Path, rng: random.Random) -> str:
    """Change the bytes of a file; return what was done."""
    content = path.read_bytes()
    if not content:
        path.write_bytes(rng.randbytes(16))
        return f"noise in the empty {path.name}"
    change = rng.choice(CHANGES)
    path.write_bytes(change(content, rng))
    return f"{change.__name__} {path.name}"
