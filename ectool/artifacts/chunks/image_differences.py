"""Perturbed images as differences to their originals: one row of bytes for each image.

A row holds, in this order:

1. the CRC-32C of the perturbed image (4 bytes, little-endian), which tells whether the original is
   the one that it was made from;
2. the number n of differences that occur, less 1 (1 byte), and these differences modulo 256, sorted
   by the grey levels they stand for (n bytes);
3. the pixels that may differ (1 bit each, the first in the highest bit, filled up to a byte), as
   a raw deflate stream (RFC 1951);
4. the differences of these pixels, by channel, row and column, as places in the list of 2: k in a
   byte, where k is the largest number with ``n**k <= 256``; the first is the lowest digit of base
   n. There are none if n is 1. They are a raw deflate stream, too;
5. zeros up to the length of all rows, which the store compresses away.

All other pixels equal those of the original. Every uint8 image can be stored, and nothing is lost:
``perturbed = (original + difference) mod 256``.

Differences of an attack hardly repeat. Their stream has Huffman codes only: zstd, and deflate with
references to earlier bytes, take 2 to 9 % more space.
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from ectool.artifacts.chunks.seal import CHECKSUM_BYTES, checksum

LEVELS = 256
_SUM, _COUNT = CHECKSUM_BYTES, 1
_RAW = -zlib.MAX_WBITS
"""Deflate streams without the header and the checksum of zlib."""
Table = np.ndarray[Any, np.dtype[np.uint8]]


def row_length(shape: tuple[int, int, int]) -> int:
    """Return the length of a row for images of a shape (channels, height, width)."""
    channels, height, width = shape
    streams = (-(-height * width // 8), channels * height * width)
    return _SUM + _COUNT + LEVELS + sum(_max_deflated(size) for size in streams)


def encode(
    images: UInt8[np.ndarray, "n c h w"],
    originals: UInt8[np.ndarray, "n c h w"],
    background: Bool[np.ndarray, "n h w"],
) -> UInt8[np.ndarray, "n bytes"]:
    """Return the rows of perturbed images.

    Args:
        images: The perturbed images.
        originals: The images that they were made from.
        background: Pixels that may differ. Smooth masks take little space. Where other pixels
            differ too, those that do differ are stored in place of it.

    Returns:
        One row each, of `row_length` bytes.
    """
    rows = np.zeros((len(images), row_length(images.shape[1:])), np.uint8)
    for row, image, original, mask in zip(rows, images, originals, background, strict=True):
        parts = _parts(image, image - original, mask)  # unsigned: the difference is modulo 256
        joined = b"".join(parts)
        row[: len(joined)] = np.frombuffer(joined, np.uint8)
    return rows


def decode(
    rows: UInt8[np.ndarray, "n bytes"], originals: UInt8[np.ndarray, "n c h w"]
) -> tuple[UInt8[np.ndarray, "n c h w"], Bool[np.ndarray, "n"]]:
    """Return perturbed images, and which of them match their checksum.

    An image does not match if its original has changed, or its row is not one of `encode`.

    Args:
        rows: Rows of `encode`.
        originals: The images that they were made from, in the same order.
    """
    images = originals.copy()
    matches = np.zeros(len(rows), bool)
    for number, (row, image) in enumerate(zip(rows, images, strict=True)):
        matches[number] = _add(row, image)
    return images, matches


def _parts(image: Table, difference: Table, mask: np.ndarray[Any, Any]) -> list[bytes]:
    if difference[:, ~mask].any():
        mask = np.asarray(difference.any(axis=0))
    values = difference[:, mask].reshape(-1)
    # In the order of grey levels, from -128 to 127.
    found = np.flatnonzero(np.roll(np.bincount(values, minlength=LEVELS), LEVELS // 2))
    known = (found - LEVELS // 2).astype(np.uint8) if len(found) else np.zeros(1, np.uint8)
    number = np.zeros(LEVELS, np.uint8)
    number[known] = np.arange(len(known))
    return [
        checksum(image.tobytes()),
        bytes([len(known) - 1]),
        known.tobytes(),
        _deflated(np.packbits(mask), zlib.Z_DEFAULT_STRATEGY),
        _deflated(_packed(number[values], len(known)), zlib.Z_HUFFMAN_ONLY),
    ]


def _deflated(values: Table, strategy: int) -> bytes:
    stream = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, _RAW, 9, strategy)
    return stream.compress(values.tobytes()) + stream.flush()


def _max_deflated(size: int) -> int:
    """Return the maximum length of a raw deflate stream, as zlib's `deflateBound` states it."""
    return size + -(-size // 8) + -(-size // 64) + 6


def _inflated(stream: bytes, size: int) -> tuple[Table, bytes]:
    """Return the first `size` values of a stream, and the bytes behind its end.

    A shorter stream is filled with zeros: then the checksum of the image differs.
    """
    reader = zlib.decompressobj(_RAW)
    found = reader.decompress(stream, size + 1)[:size]  # one more, to reach the end of the stream
    values = np.zeros(size, np.uint8)
    values[: len(found)] = np.frombuffer(found, np.uint8)
    return values, reader.unused_data


def _packed(digits: Table, base: int) -> Table:
    """Return several digits in a byte, the first as the lowest."""
    if base == 1:
        return digits[:0]
    count = _digits(base)
    filled = np.zeros(-(-len(digits) // count) * count, np.uint8)
    filled[: len(digits)] = digits
    packed = filled[::count].copy()
    for place in range(1, count):
        packed += filled[place::count] * np.uint8(base**place)
    return packed


def _digits(base: int) -> int:
    """Return the largest k with ``base**k <= 256``."""
    count = 1
    while base ** (count + 1) <= LEVELS:
        count += 1
    return count


@cache
def _unpacking(base: int) -> Table:
    """Return the digits of every byte, (256, k)."""
    numbers = np.arange(LEVELS)[:, None] // base ** np.arange(_digits(base))
    return (numbers % base).astype(np.uint8)


def _add(row: Table, image: Table) -> bool:
    """Add the differences of a row to an original in place; return whether the result matches."""
    count, pixels = int(row[_SUM]) + 1, image[0].size
    start = _SUM + _COUNT + count
    known = row[_SUM + _COUNT : start]
    try:
        bits, rest = _inflated(row[start:].tobytes(), -(-pixels // 8))
        mask = np.unpackbits(bits, count=pixels).astype(bool).reshape(image.shape[1:])
        if count == 1:
            image[:, mask] += known[0]
        else:
            size = len(image) * int(mask.sum())
            table = known[np.minimum(_unpacking(count), count - 1)]
            packed, _ = _inflated(rest, -(-size // table.shape[1]))
            image[:, mask] += table[packed].reshape(-1)[:size].reshape(len(image), -1)
    except zlib.error:
        return False
    return bool(checksum(image.tobytes()) == row[:_SUM].tobytes())
