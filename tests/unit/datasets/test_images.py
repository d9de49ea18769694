from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from ectool.datasets.images import read_image, read_mask, read_size
from ectool.errors import InputError


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        *(("jpg", mode) for mode in ("1", "L", "RGB", "CMYK")),
        *(("png", mode) for mode in ("1", "L", "P", "RGB")),
        *(("bmp", mode) for mode in ("1", "L", "P", "RGB")),
        *(("tif", mode) for mode in ("1", "L", "P", "RGB", "CMYK")),
        *(("webp", mode) for mode in ("L", "RGB")),
    ],
)
def test_ordinary_modes_are_read_as_pil_converts_them(tmp_path, suffix, mode):
    Image.fromarray(noise(9, 7)).convert(mode).save(tmp_path / f"p.{suffix}")
    with Image.open(tmp_path / f"p.{suffix}") as saved:
        expected = saved.convert("RGB")
    assert read_image(tmp_path / f"p.{suffix}").mode == "RGB"
    np.testing.assert_array_equal(read_image(tmp_path / f"p.{suffix}"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    image = Image.fromarray(noise(5, 6, 4)).convert(mode)
    image.save(tmp_path / "p.png")
    rgba = np.asarray(image.convert("RGBA")).astype(np.float64)
    alpha = rgba[:, :, 3:] / 255
    over_white = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(np.asarray(read_image(tmp_path / "p.png")), over_white, atol=1)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(tmp_path, mode):
    colours = np.array([[[200, 10, 10], [10, 10, 200]]], np.uint8)
    image = Image.fromarray(colours).convert(mode)
    image.save(tmp_path / "p.png", transparency=image.getpixel((0, 0)))
    pixels = np.asarray(read_image(tmp_path / "p.png"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(pixels[0, 1], image.convert("RGB").getpixel((1, 0)))


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    grey = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / name)
    pixels = np.asarray(read_image(tmp_path / name))
    np.testing.assert_array_equal(pixels[0, :, 0], np.round(grey[0] / 257))
    assert (pixels == pixels[:, :, :1]).all()


@pytest.mark.parametrize("pixels", [np.ones((2, 2), np.float32), np.full((2, 2), 70000, np.int32)])
def test_pixels_without_a_defined_white_are_an_error(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "p.tif")
    with pytest.raises(InputError, match=r"p\.tif: expected a readable image.*white"):
        read_image(tmp_path / "p.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, orientation, suffix):
    image = Image.fromarray(noise(8, 16))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"p.{suffix}"
    image.save(path, exif=exif)
    with Image.open(path) as saved:
        expected = ImageOps.exif_transpose(saved)
    turned = read_image(path)
    assert turned.size == read_size(path) == ((16, 8) if orientation < 5 else (8, 16))
    np.testing.assert_array_equal(turned, expected)


def test_sixteen_bits_are_turned_too(tmp_path):
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(grey).save(tmp_path / "p.png", exif=exif)
    pixels = np.asarray(read_image(tmp_path / "p.png"))[:, :, 0]
    np.testing.assert_array_equal(pixels, np.rot90(grey // 257, -1))


def test_a_palette_of_half_transparent_colours_is_laid_over_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8)).convert("P")
    image.putpalette([200, 0, 0, 0, 100, 0, 0, 0, 50])
    image.save(tmp_path / "p.png", transparency=bytes([255, 128, 0]))
    pixels = np.asarray(read_image(tmp_path / "p.png"))[0]
    np.testing.assert_allclose(pixels, [[200, 0, 0], [127, 177, 127], [255, 255, 255]], atol=1)


def test_adobes_inverted_cmyk_shows_the_colours_a_person_sees(tmp_path):
    colours = np.array([[220, 30, 40], [30, 200, 60], [20, 40, 210], [250, 250, 250]], np.uint8)
    blocks = colours.repeat(16, axis=0)[None].repeat(16, axis=0)
    Image.fromarray(blocks).convert("CMYK").save(tmp_path / "p.jpg", quality=100)
    assert b"Adobe" in (tmp_path / "p.jpg").read_bytes()
    pixels = np.asarray(read_image(tmp_path / "p.jpg"))
    np.testing.assert_allclose(pixels[8, 8::16], colours, atol=6)


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_a_colour_are_scaled_too(tmp_path, colour_type, channels):
    values = np.linspace(0, 65535, 5 * channels).astype(">u2").reshape(5, channels)
    if channels % 2 == 0:
        values[:, -1] = 65535
    (tmp_path / "p.png").write_bytes(sixteen_bit_png(values, colour_type))
    pixels = np.asarray(read_image(tmp_path / "p.png"))[0]
    expected = values[:, :1].repeat(3, 1) if channels == 2 else values[:, :3]
    np.testing.assert_allclose(pixels, expected / 257, atol=1)


def sixteen_bit_png(row, colour_type):
    """Return a PNG of one row, which PIL cannot write."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", len(row), 1, 16, colour_type, 0, 0, 0)
    data = zlib.compress(b"\0" + row.tobytes())
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "gif"])
def test_of_several_frames_the_first_counts(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"p.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert np.asarray(read_image(tmp_path / f"p.{suffix}"))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6])
def test_a_damaged_image_is_an_error_that_names_it(tmp_path, suffix, share):
    path = tmp_path / f"p.{suffix}"
    Image.fromarray(noise(40, 40)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"p\.{suffix}: expected a readable image"):
        read_image(path)


@pytest.mark.parametrize("read", [read_image, read_mask, read_size])
@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"", "got an empty file;"),
        (b"<!DOCTYPE html><html>gone</html>", "got a file that begins with b'<!DOCTYPE html><';"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            "got a file that begins with b'%!PS-Adobe",
        ),
        (None, "got FileNotFoundError"),
    ],
)
def test_the_error_of_a_file_that_is_not_an_image_describes_it(tmp_path, read, content, got):
    if content is not None:
        (tmp_path / "p.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"p\.jpg: expected a readable image, {got}"):
        read(tmp_path / "p.jpg")


def test_the_name_of_an_image_does_not_matter(tmp_path):
    Image.fromarray(noise(5, 6)).save(tmp_path / "p.png")
    (tmp_path / "p.png").rename(tmp_path / "p.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "p.jpg"), noise(5, 6))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_a_mask_is_what_is_not_zero(tmp_path, mode):
    inside = np.array([[0, 1, 0], [1, 1, 0]], np.uint8)
    if mode == "P":
        mask = Image.fromarray(inside).convert("P")
        mask.putpalette([9, 9, 9, 0, 0, 0])
    elif mode == "I;16":
        mask = Image.fromarray(inside.astype(np.uint16) * 256)
    else:
        mask = Image.fromarray(inside * 255).convert(mode)
    mask.save(tmp_path / "m.png")
    np.testing.assert_array_equal(np.asarray(read_mask(tmp_path / "m.png")), inside * 255)
