"""Pixels of every kind, against tifffile, OpenCV and levels worked out by hand."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import PIL
import pytest
import tifffile
from PIL import Image

from ectool.datasets.images import read_grey, read_image, read_mask
from ectool.errors import InputError

GREY = np.arange(0, 240, 10, np.uint8).reshape(4, 6)
WIDE = np.linspace(0, 65535, 24).astype(np.uint16).reshape(4, 6)
COLOURS = np.random.default_rng(0).integers(0, 256, (4, 6, 4)).astype(np.uint8)
ALPHA = COLOURS[..., 3:] / 255
PREMULTIPLIED = np.rint(COLOURS[..., :3] * ALPHA).astype(np.uint8)


def levels(path):
    return np.asarray(read_image(path)).astype(np.int64)


def saved(folder, array, **options):
    tifffile.imwrite(folder / "p.tif", array, **options)
    return folder / "p.tif"


def png(folder, row, width, depth, colour_type, transparent):
    """Write a PNG of one row with a transparent colour; Pillow cannot write these."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, 1, depth, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", transparent), (b"IDAT", zlib.compress(b"\0" + row))]
    content = b"".join(chunk(*parts) for parts in [*chunks, (b"IEND", b"")])
    (folder / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return folder / "p.png"


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("array", [GREY, WIDE], ids=["8 bits", "16 bits"])
def test_black_is_zero(tmp_path, compression, byteorder, array):
    path = saved(
        tmp_path, array, photometric="minisblack", compression=compression, byteorder=byteorder
    )
    expected = np.rint(array / np.iinfo(array.dtype).max * 255)
    np.testing.assert_array_equal(levels(path), expected[..., None].repeat(3, 2))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("array", [GREY, WIDE, GREY > 99], ids=["8 bits", "16 bits", "1 bit"])
def test_white_is_zero(tmp_path, compression, array):
    path = saved(tmp_path, array, photometric="miniswhite", compression=compression)
    white = 1 if array.dtype == bool else np.iinfo(array.dtype).max
    expected = np.rint((white - array.astype(np.float64)) / white * 255)
    np.testing.assert_array_equal(levels(path), expected[..., None].repeat(3, 2))
    np.testing.assert_array_equal(np.asarray(read_mask(path)) > 0, array != white)


def test_sixteen_bits_a_colour_lose_their_lower_bits(tmp_path):
    wide = np.random.default_rng(1).integers(0, 65536, (4, 6, 3)).astype(np.uint16)
    found = levels(saved(tmp_path, wide, photometric="rgb"))
    np.testing.assert_array_equal(found, wide >> 8)
    np.testing.assert_allclose(found, wide / 257, atol=1)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb", "miniswhite"])
def test_numbers_without_a_white_are_refused(tmp_path, dtype, photometric):
    array = COLOURS[..., :3] if photometric == "rgb" else GREY
    path = saved(tmp_path, (array // 2).astype(dtype), photometric=photometric)
    with pytest.raises(InputError, match=r"p\.tif: expected a readable image, got .+; restore"):
        read_image(path)


def test_colours_that_are_not_in_rgb_are_refused(tmp_path):
    path = saved(tmp_path, COLOURS[..., :3], photometric="cielab")
    with pytest.raises(InputError, match="pixels of the mode LAB; save it as RGB"):
        read_image(path)


@pytest.mark.parametrize("depth", [8, 16])
def test_alpha_is_laid_over_white(tmp_path, depth):
    scale = 1 if depth == 8 else 257
    over_white = COLOURS[..., :3] * ALPHA + 255 * (1 - ALPHA)
    plain = saved(
        tmp_path,
        COLOURS.astype(f"uint{depth}") * scale,
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    np.testing.assert_allclose(levels(plain), over_white, atol=1)
    both = np.concatenate([PREMULTIPLIED, COLOURS[..., 3:]], axis=2).astype(f"uint{depth}") * scale
    path = saved(tmp_path, both, photometric="rgb", extrasamples=["assocalpha"])
    np.testing.assert_allclose(levels(path), PREMULTIPLIED + 255 * (1 - ALPHA), atol=1.01)


@pytest.mark.skipif(int(PIL.__version__.partition(".")[0]) < 13, reason="Pillow 13 reads these")
def test_grey_that_was_multiplied_by_alpha_is_laid_over_white(tmp_path):
    both = np.stack([PREMULTIPLIED[..., 0], COLOURS[..., 3]], axis=2)
    path = saved(tmp_path, both, photometric="minisblack", extrasamples=["assocalpha"])
    expected = both[..., :1] + 255 * (1 - ALPHA)
    np.testing.assert_allclose(levels(path), expected.repeat(3, 2), atol=1.01)


def test_a_channel_that_means_nothing_changes_nothing(tmp_path):
    path = saved(tmp_path, COLOURS, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(levels(path), COLOURS[..., :3])


def test_printing_colours_of_tiff(tmp_path):
    path = saved(tmp_path, COLOURS, photometric="separated")
    light = 255 - COLOURS.astype(np.float64)
    np.testing.assert_allclose(levels(path), light[..., :3] * light[..., 3:] / 255, atol=0.51)


def test_printing_colours_of_jpeg_as_opencv_reads_them(tmp_path):
    smooth = cv2.resize(COLOURS[..., :3], (64, 64), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / "p.jpg", quality=95)
    other = cv2.imread(str(tmp_path / "p.jpg"))[..., ::-1]
    np.testing.assert_allclose(levels(tmp_path / "p.jpg"), other, atol=1)


@pytest.mark.parametrize(
    ("depth", "row", "width", "transparent", "expected"),
    [
        (1, bytes([0b01000000]), 2, 0, [255, 255]),
        (1, bytes([0b01000000]), 2, 1, [0, 255]),
        (2, bytes([0b00011011]), 4, 1, [0, 255, 170, 255]),
        (4, bytes([0x01, 0x2F]), 4, 2, [0, 17, 255, 255]),
        (8, bytes([5, 6, 7]), 3, 6, [5, 255, 7]),
        (16, struct.pack(">HHH", 0, 1000, 1001), 3, 1000, [0, 255, 4]),
    ],
)
def test_a_transparent_level_is_white(tmp_path, depth, row, width, transparent, expected):
    path = png(tmp_path, row, width, depth, 0, struct.pack(">H", transparent))
    assert levels(path)[0, :, 0].tolist() == expected


def test_a_transparent_colour_of_sixteen_bits_is_refused(tmp_path):
    path = png(tmp_path, struct.pack(">HHH", 0, 9, 9), 1, 16, 2, struct.pack(">HHH", 0, 9, 9))
    with pytest.raises(InputError, match="a transparent colour of 16 bits a channel"):
        read_image(path)


@pytest.mark.parametrize("maximum", [1, 100, 255, 1023, 65535])
def test_the_maximum_level_of_pnm_is_white(tmp_path, maximum):
    stored = np.linspace(0, maximum, 5).astype(np.uint16)
    kind = ">u1" if maximum < 256 else ">u2"
    header = f"P5\n5 1\n{maximum}\n".encode()
    (tmp_path / "p.pgm").write_bytes(header + stored.astype(kind).tobytes())
    found = levels(tmp_path / "p.pgm")[0, :, 0]
    np.testing.assert_allclose(found, stored / maximum * 255, atol=0.51)


def test_twelve_bits_are_scaled(tmp_path):
    stored = np.array([[0, 2048, 4095, 16]], np.uint16)
    nibbles = "".join(f"{level:03x}" for level in stored[0])
    tifffile.imwrite(tmp_path / "p.tif", np.zeros((1, 4), np.uint16), photometric="minisblack")
    content = bytearray((tmp_path / "p.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "p.tif") as file:
        tags = file.pages[0].tags
        content[tags["BitsPerSample"].valueoffset] = 12
        content[tags["StripByteCounts"].valueoffset] = 6
        start = file.pages[0].dataoffsets[0]
    content[start : start + 6] = bytes.fromhex(nibbles)
    (tmp_path / "p.tif").write_bytes(content)
    np.testing.assert_array_equal(
        levels(tmp_path / "p.tif")[0, :, 0], np.rint(stored[0] / 4095 * 255)
    )


def test_grey_of_more_than_eight_bits_is_no_count_of_votes(tmp_path):
    Image.fromarray(WIDE).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="16-bit pixels instead of 8-bit ones"):
        read_grey(tmp_path / "m.png")


@pytest.mark.parametrize("name", ["m.jpg", "m.webp", "m.jp2"])
def test_near_black_is_not_object_in_lossy_formats(tmp_path, name):
    inside = np.zeros((32, 32), np.uint8)
    inside[8:20, 5:17] = 255
    Image.fromarray(inside).save(tmp_path / name, quality=60)
    np.testing.assert_array_equal(np.asarray(read_mask(tmp_path / name)), inside)
    Image.fromarray(inside // 255).save(tmp_path / name)
    if np.asarray(Image.open(tmp_path / name).convert("L")).any():
        with pytest.raises(InputError, match="lossy format whose maximum level"):
            read_mask(tmp_path / name)


@pytest.mark.parametrize("share", [0, 0.4, 1])
def test_the_palette_of_a_gif_is_colours_not_numbers(tmp_path, share):
    inside = (np.arange(100).reshape(10, 10) < share * 100).astype(np.uint8) * 255
    Image.fromarray(inside).save(tmp_path / "m.gif")
    np.testing.assert_array_equal(np.asarray(read_mask(tmp_path / "m.gif")), inside)


@pytest.mark.parametrize("mode", ["RGBa", "CMYK"])
def test_black_in_other_colours_is_not_object(tmp_path, mode):
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = 255
    if mode == "CMYK":
        Image.fromarray(colours).convert("CMYK").save(tmp_path / "m.tif")
    else:
        opaque = np.concatenate([colours, np.full((2, 2, 1), 255, np.uint8)], axis=2)
        saved(tmp_path, opaque, photometric="rgb", extrasamples=["assocalpha"]).rename(
            tmp_path / "m.tif"
        )
    np.testing.assert_array_equal(
        np.asarray(read_mask(tmp_path / "m.tif")) > 0, colours[..., 0] > 0
    )


def test_a_mask_in_the_alpha_channel_is_refused(tmp_path):
    hidden = np.full((4, 4, 4), 255, np.uint8)
    hidden[:2, :, 3] = 0
    Image.fromarray(hidden).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="object everywhere, and an alpha channel"):
        read_mask(tmp_path / "m.png")


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("read", [read_mask, read_grey])
def test_masks_are_turned_as_images_are(tmp_path, orientation, read):
    inside = np.zeros((3, 5), np.uint8)
    inside[0, :2] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(inside).save(tmp_path / "m.png", exif=exif)
    turned = {3: 2, 6: -1, 8: 1}[orientation]
    np.testing.assert_array_equal(np.asarray(read(tmp_path / "m.png")), np.rot90(inside, turned))
