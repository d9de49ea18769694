"""The memory of images is known from their headers, and bounded."""

from __future__ import annotations

import io
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from ectool.config import MAX_PIXELS
from ectool.datasets.bounds.costs import BYTES, Budget, Cost, bytes_per_pixel
from ectool.datasets.bounds.headers import HeaderFile, open_image
from ectool.datasets.formats import readable_formats
from ectool.datasets.image_files import views_of
from ectool.datasets.images import EncodedImage, read_image, read_mask, read_size
from ectool.datasets.views import View
from ectool.errors import InputError
from tests.bounded import GIB, measured

SIDE = 1536
TINY = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
LARGE = Image.fromarray(np.tile(TINY, (SIDE // 64, SIDE // 64, 1)))
TURNED = Image.Exif()
TURNED[0x112] = 6
CASES: dict[str, Any] = {
    "png": (LARGE, "PNG", {}),
    "rgba": (LARGE.convert("RGBA"), "PNG", {}),
    "grey": (LARGE.convert("L"), "PNG", {}),
    "palette": (LARGE.quantize(16), "PNG", {"transparency": 3}),
    "grey16": (Image.fromarray(np.asarray(LARGE)[..., 0].astype(np.uint16) * 257), "PNG", {}),
    "jpeg": (LARGE, "JPEG", {}),
    "progressive": (LARGE, "JPEG", {"progressive": True, "subsampling": 0}),
    "turned": (LARGE, "JPEG", {"exif": TURNED}),
    "cmyk": (LARGE.convert("CMYK"), "JPEG", {}),
    "webp": (LARGE, "WEBP", {"method": 0, "quality": 5}),
    "tiff": (LARGE, "TIFF", {"compression": "tiff_deflate"}),
    "gif": (LARGE.quantize(16), "GIF", {}),
}


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def header(width, height):
    """Return a PNG of zeros of any size, in few bytes."""

    def chunk(name, data):
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    lines = zlib.compressobj(9)
    pixels = b"".join(
        [*(lines.compress(bytes(1 + 3 * width)) for _ in range(height)), lines.flush()]
    )
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


QUICK = ("grey16", "progressive", "webp")


@pytest.mark.parametrize(
    ("name", "is_mask"),
    [
        *((name, False) for name in QUICK),
        *(pytest.param(name, False, marks=pytest.mark.slow) for name in CASES if name not in QUICK),
        *(pytest.param(name, True, marks=pytest.mark.slow) for name in CASES),
    ],
)
def test_no_image_takes_more_memory_than_its_header_says(name, is_mask, tmp_path):
    image, kind, options = CASES[name]
    path = tmp_path / "a"
    path.write_bytes(encoded(image, kind, **options))
    with HeaderFile(path.open("rb").detach()) as file:
        opened = open_image(file, readable_formats("a"))
        expected = bytes_per_pixel(opened, is_mask=is_mask) * SIDE**2 + path.stat().st_size
    slack = 12 * 2**20  # strips, threads, libraries
    found = measured(lambda: (read_mask if is_mask else read_image)(path))
    assert found.error == "" or "mask" in found.error
    assert found.peak < expected + slack


class TestCost:
    def test_pixels_are_counted_before_and_after_scaling(self):
        cost = Cost((100, 60), 4)
        assert cost.checked("a.png", 1000, 6000) == 100 * 60 * 4 + 1000 * 4
        with pytest.raises(InputError, match=r"a\.png: expected at most 5,999 pixels, got 100 x"):
            cost.checked("a.png", 0, 5999)
        with pytest.raises(InputError, match="after scaling, got 6,001 of 100 x 60; scale it"):
            cost.checked("a.png", 6001, 6000)

    def test_memory_is_bounded_by_five_bytes_of_each_pixel_of_the_limit(self):
        assert Cost((10, 10), 5).checked("a", 0, 100) == 500
        with pytest.raises(InputError, match=r"at most 500 bytes in memory .* got 600 for 10 x 10"):
            Cost((10, 10), 6).checked("a", 0, 100)
        with pytest.raises(InputError, match="got 600"):
            Cost((10, 10), 5, beside=100).checked("a", 0, 100)

    @pytest.mark.parametrize("size", [(0, 9), (9, 0)])
    def test_an_image_has_a_pixel(self, size):
        with pytest.raises(InputError, match="expected at least one pixel, got"):
            Cost(size, 4).checked("a", 0, 100)


class TestBudget:
    def test_threads_wait_for_each_other(self):
        budget, held, most = Budget(), [0], [0]
        lock = threading.Lock()

        def work(amount):
            with budget.holding(amount, 10):
                with lock:
                    held[0] += amount
                    most[0] = max(most[0], held[0])
                time.sleep(0.002)
                with lock:
                    held[0] -= amount

        threads = [threading.Thread(target=work, args=(1 + n % 5,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 5 <= most[0] <= 10

    def test_what_is_more_than_all_is_held_alone(self):
        budget = Budget()
        with budget.holding(99, 10):
            pass
        with pytest.raises(ZeroDivisionError), budget.holding(3, 10):
            raise ZeroDivisionError
        with budget.holding(10, 10):
            pass


class TestBombs:
    """Small files that declare or give large images."""

    view = View(32)

    def views(self, data, count=8, view=view):
        return measured(
            lambda: views_of(view, lambda _: EncodedImage("a.png", data), np.arange(count), None)
        )

    def test_a_header_alone_is_refused_before_memory_is_taken(self):
        for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1)):
            size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
            data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + size
            data += struct.pack(">I", zlib.crc32(b"IHDR" + size)) + struct.pack(">I", 9) + b"IDAT"
            found = self.views(data)
            assert f"InputError: a.png: expected at most {MAX_PIXELS:,} pixels" in found.error
            assert found.peak < 2**24

    def test_extreme_shapes_are_refused_before_they_are_scaled(self):
        for width, height in ((1, 60_000), (60_000, 1)):
            found = self.views(header(width, height), view=View(224))
            assert "pixels after scaling, got 3," in found.error
            assert found.peak < 2**24
            assert self.views(header(width, height), view=View(224, "squash")).error == ""

    @pytest.mark.slow
    def test_large_images_take_the_memory_of_one(self):
        side = int(MAX_PIXELS**0.5) - 100
        found = self.views(header(side, side), count=4)
        assert found.error == ""
        assert found.peak < GIB

    def test_a_raised_limit_admits_what_is_above_that_of_pillow(self):
        data, size = header(20, 30), (20, 30)
        with pytest.raises(InputError, match="at most 599 pixels, got 20 x 30"):
            read_size(EncodedImage("a", data), 599)
        assert read_size(EncodedImage("a", data), 600) == size
        large = data.replace(struct.pack(">II", 20, 30), struct.pack(">II", 20_000, 30_000))
        large = large[:29] + struct.pack(">I", zlib.crc32(large[12:29])) + large[33:]
        with pytest.raises(InputError, match="at most"):
            read_size(EncodedImage("a", large))
        assert Cost((20_000, 30_000), 4).checked("a", 0, 600_000_000) <= 600_000_000 * BYTES


def test_masks_of_another_size_than_their_images_are_still_an_error(tmp_path):
    from ectool.datasets.own.drawn_annotations import mask_of

    Image.new("L", (8, 9)).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="expected 9 x 8 pixels, as a is displayed, got 8 x 9"):
        mask_of(Path(tmp_path / "m.png"), "a", (9, 8), MAX_PIXELS)


@pytest.mark.skipif(not features.check("jpg_2000"), reason="without JPEG 2000")
def test_decoders_of_more_memory_admit_fewer_pixels():
    data = encoded(Image.new("RGB", (100, 100)), "JPEG2000")
    with pytest.raises(InputError, match="bytes in memory"):
        read_image(EncodedImage("a.jp2", data), 100 * 100)
    assert read_image(EncodedImage("a.jp2", data), 100 * 100 * 5).size == (100, 100)
