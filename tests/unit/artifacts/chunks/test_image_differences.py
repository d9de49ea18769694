"""Images as differences: lossless for any image, and read by the words of the module."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ectool.artifacts.chunks.image_differences import decode, encode, row_length

SHAPES = st.tuples(st.just(3), st.integers(1, 5), st.integers(1, 5))
FEW = settings(max_examples=60)


@st.composite
def triples(draw):
    """Draw a few originals, their images and masks, which need not hold all differences."""
    shape = (draw(st.integers(1, 3)), *draw(SHAPES))
    images = draw(arrays(np.uint8, shape))
    levels = draw(st.sampled_from([1, 2, 3, 16, 17, 256]))
    change = draw(arrays(np.uint8, shape)).astype(int) % levels
    return images, images + change.astype(np.uint8), draw(arrays(bool, (shape[0], *shape[2:])))


def streams(row):
    """Return what both deflate streams of a row hold; only zeros follow them."""
    reader = zlib.decompressobj(-15)
    bits = reader.decompress(row[4 + 1 + int(row[4]) + 1 :].tobytes())
    second = zlib.decompressobj(-15)
    packed = second.decompress(reader.unused_data)
    assert second.eof
    assert not any(second.unused_data)
    return bits, packed


def slowly_read(row, original):
    """Read a row as the module's docstring says, number by number."""
    known, pixels = int(row[4]) + 1, original[0].size
    levels = [int(byte) for byte in row[5 : 5 + known]]
    bits, packed = streams(row)
    digits = max((k for k in range(1, 9) if known**k <= 256), default=0) if known > 1 else 0
    found, place = original.reshape(3, -1).copy(), 0
    for channel in range(3):
        for pixel in range(pixels):
            if bits[pixel // 8] >> (7 - pixel % 8) & 1:
                number = 0
                if digits:
                    number = packed[place // digits] // known ** (place % digits) % known
                found[channel, pixel] = (int(found[channel, pixel]) + levels[number]) % 256
                place += 1
    return found.reshape(original.shape)


@given(triples())
@FEW
def test_round_trip_and_slow_reader(drawn):
    originals, images, background = drawn
    rows = encode(images, originals, background)
    assert rows.shape == (len(images), row_length(images.shape[1:]))
    found, matches = decode(rows, originals)
    assert matches.all()
    np.testing.assert_array_equal(found, images, strict=True)
    np.testing.assert_array_equal(slowly_read(rows[0], originals[0]), images[0])


@given(triples())
@FEW
def test_other_originals_are_noticed(drawn):
    originals, images, background = drawn
    changed = originals.copy()
    changed[-1, 0, 0, 0] ^= 1
    _, matches = decode(encode(images, originals, background), changed)
    assert matches.tolist() == [True] * (len(images) - 1) + [False]


@given(arrays(np.uint8, (2, row_length((3, 3, 3)))))
@FEW
def test_any_bytes_are_read_without_an_error(rows):
    images, matches = decode(rows, np.zeros((2, 3, 3, 3), np.uint8))
    assert images.shape == (2, 3, 3, 3)
    assert not matches.all()


@pytest.mark.parametrize(
    ("levels", "in_a_byte"), [(2, 8), (3, 5), (5, 3), (9, 2), (16, 2), (17, 1)]
)
def test_bytes_of_a_row(levels, in_a_byte):
    """Half of the image may change: checksum, list, mask, and the packed differences."""
    draw = np.random.default_rng(0)
    originals = draw.integers(0, 256, (1, 3, 8, 8)).astype(np.uint8)
    background = np.zeros((1, 8, 8), bool)
    background[:, :4] = True
    change = draw.integers(1, levels + 1, originals.shape) - levels // 2
    images = np.where(background[:, None], originals + change, originals).astype(np.uint8)
    (row,) = encode(images, originals, background)
    bits, packed = streams(row)
    assert len(bits) == 8
    assert len(packed) == -(-96 // in_a_byte)
    assert any(packed)
    assert row[4] == levels - 1
    known = row[5 : 5 + levels].astype(np.int8).tolist()
    assert known == sorted(set(change[0, :, :4].ravel().tolist()))


def test_originals_are_left_alone():
    originals = np.zeros((1, 3, 2, 2), np.uint8)
    images = np.full_like(originals, 7)
    decode(encode(images, originals, np.ones((1, 2, 2), bool)), originals)
    assert not originals.any()
