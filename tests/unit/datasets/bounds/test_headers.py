"""Images whose headers or scans are made to take time or memory are refused before that."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from ectool.datasets.bounds.headers import (
    MAX_HEADER,
    HeaderFile,
    check_scans,
    open_image,
    unread,
)
from ectool.datasets.formats import readable_formats
from ectool.datasets.images import EncodedImage, read_image
from ectool.errors import InputError

FORMATS = readable_formats("a")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *chunks, pixels=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(pixels))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_images_are_opened_as_pillow_opens_them(kind):
    data = encoded(Image.linear_gradient("L").convert("RGB"), kind)
    found = open_image(HeaderFile(io.BytesIO(data)), FORMATS)
    with Image.open(io.BytesIO(data)) as expected:
        assert (found.format, found.size, found.mode) == (kind, expected.size, expected.mode)
        np.testing.assert_array_equal(found, expected)


def test_an_image_that_pillow_warns_of_gives_no_warning():
    data = png(10_000, 9_000)
    with pytest.warns(Image.DecompressionBombWarning), Image.open(io.BytesIO(data)):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_image(HeaderFile(io.BytesIO(data)), FORMATS).size == (10_000, 9_000)


@pytest.mark.parametrize("name", ["a.eps", "a.png"])
def test_no_other_program_is_started(name, tmp_path):
    (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    with pytest.raises(InputError, match="begins with b'%!PS-Adobe"):
        read_image(tmp_path / name)


def test_a_header_is_read_only_up_to_its_limit():
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    image = encoded(Image.new("RGB", (8, 8)), "JPEG")
    many = image[:2] + comment * (MAX_HEADER // len(comment) + 1) + image[2:]
    with pytest.raises(ValueError, match="more data before the pixels"):
        open_image(HeaderFile(io.BytesIO(many)), FORMATS)
    few = image[:2] + comment * 9 + image[2:]
    assert open_image(HeaderFile(io.BytesIO(few)), FORMATS).size == (8, 8)


def test_profiles_and_texts_that_expand_are_refused():
    bomb = zlib.compress(bytes(2**21))
    for name, start in ((b"iCCP", b"a\0\0"), (b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        data = png(1, 1, *[chunk(name, start + bomb)] * 3, pixels=bytes(4))
        with pytest.raises(InputError, match="expected a readable image"):
            read_image(EncodedImage("row 0", data))


class TestScans:
    """A JPEG goes over its pixels once for each scan."""

    image = Image.effect_noise((64, 64), 50).convert("RGB")
    data = encoded(image, "JPEG", progressive=True)

    def bomb(self, scans, side=64):
        """Return a progressive JPEG that repeats its shortest scan."""
        starts = [i for i in range(len(self.data)) if self.data[i : i + 2] == b"\xff\xda"]
        last = self.data[starts[0] : starts[1]]
        return self.data[: starts[0]] + last * scans + self.data[starts[0] :]

    def check(self, data, max_pixels):
        file = HeaderFile(io.BytesIO(data))
        image = open_image(file, FORMATS)
        position = file.tell()
        check_scans(image, file, len(data), max_pixels)
        assert file.tell() == position

    def test_an_ordinary_file_is_accepted(self):
        self.check(self.data, 64 * 64)

    def test_passes_count_over_all_pixels(self):
        data = self.bomb(300)
        scans = data.count(b"\xff\xda")
        self.check(data, 64 * 64 * scans // 20 + 1)
        with pytest.raises(ValueError, match=f"^{scans} scans$"):
            self.check(data, 64 * 64 * scans // 20 - 1)

    def test_the_file_is_refused_at_once(self):
        data = self.bomb(3000)
        began = time.perf_counter()
        with pytest.raises(InputError, match="scans"):
            read_image(EncodedImage("row 0", data), 64 * 64)
        assert time.perf_counter() - began < 1


def test_bytes_behind_the_pixels_count_twice():
    image = open_image(HeaderFile(io.BytesIO(png(10, 10))), FORMATS)
    assert unread(image, 10 * 10 * 8) == 0
    assert unread(image, 10 * 10 * 8 + 50) == 100
    file = HeaderFile(io.BytesIO(encoded(Image.new("RGB", (9, 9)), "WEBP")))
    assert unread(open_image(file, FORMATS), 50) == 50
