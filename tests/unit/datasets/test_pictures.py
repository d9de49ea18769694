from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from ectool.datasets.pictures import evaluation_view, read_mask, read_picture, read_size
from ectool.errors import InputError


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize(
    ("resampling", "interpolation"),
    [
        (Image.Resampling.BILINEAR, InterpolationMode.BILINEAR),
        (Image.Resampling.NEAREST, InterpolationMode.NEAREST),
    ],
)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([1, 7, 32, 33, 56]),
    st.sampled_from("LR"),
)
@settings(max_examples=40)
def test_the_view_is_torchvisions(resampling, interpolation, height, width, side, mode):
    picture = Image.fromarray(noise(height, width, 1 if mode == "L" else 3))
    torchvisions = transforms.Compose(
        [
            transforms.Resize(round(side * 256 / 224), interpolation, antialias=True),
            transforms.CenterCrop(side),
        ]
    )
    expected = np.asarray(torchvisions(picture))
    np.testing.assert_array_equal(evaluation_view(picture, side, resampling), expected)


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
    assert read_picture(tmp_path / f"p.{suffix}").mode == "RGB"
    np.testing.assert_array_equal(read_picture(tmp_path / f"p.{suffix}"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_over_white(tmp_path, mode):
    picture = Image.fromarray(noise(5, 6, 4)).convert(mode)
    picture.save(tmp_path / "p.png")
    rgba = np.asarray(picture.convert("RGBA")).astype(np.float64)
    alpha = rgba[:, :, 3:] / 255
    over_white = rgba[:, :, :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(np.asarray(read_picture(tmp_path / "p.png")), over_white, atol=1)


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_colour_is_white(tmp_path, mode):
    colours = np.array([[[200, 10, 10], [10, 10, 200]]], np.uint8)
    picture = Image.fromarray(colours).convert(mode)
    picture.save(tmp_path / "p.png", transparency=picture.getpixel((0, 0)))
    pixels = np.asarray(read_picture(tmp_path / "p.png"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(pixels[0, 1], picture.convert("RGB").getpixel((1, 0)))


@pytest.mark.parametrize("name", ["p.png", "p.tif", "p.pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    grey = np.array([[0, 128, 129, 257, 32768, 65406, 65407, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / name)
    pixels = np.asarray(read_picture(tmp_path / name))
    np.testing.assert_array_equal(pixels[0, :, 0], np.round(grey[0] / 257))
    assert (pixels == pixels[:, :, :1]).all()


@pytest.mark.parametrize("pixels", [np.ones((2, 2), np.float32), np.full((2, 2), 70000, np.int32)])
def test_pixels_without_a_defined_white_are_an_error(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "p.tif")
    with pytest.raises(InputError, match=r"p\.tif: expected a readable picture.*white"):
        read_picture(tmp_path / "p.tif")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_a_picture_is_turned_as_its_exif_says(tmp_path, orientation, suffix):
    picture = Image.fromarray(noise(8, 16))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = tmp_path / f"p.{suffix}"
    picture.save(path, exif=exif)
    with Image.open(path) as saved:
        expected = ImageOps.exif_transpose(saved)
    turned = read_picture(path)
    assert turned.size == read_size(path) == ((16, 8) if orientation < 5 else (8, 16))
    np.testing.assert_array_equal(turned, expected)


def test_sixteen_bits_are_turned_too(tmp_path):
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 257
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(grey).save(tmp_path / "p.png", exif=exif)
    pixels = np.asarray(read_picture(tmp_path / "p.png"))[:, :, 0]
    np.testing.assert_array_equal(pixels, np.rot90(grey // 257, -1))


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_of_several_frames_the_first_counts(tmp_path, suffix):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"p.{suffix}", save_all=True, append_images=frames[1:], **options)
    assert np.asarray(read_picture(tmp_path / f"p.{suffix}"))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6])
def test_a_damaged_picture_is_an_error_that_names_it(tmp_path, suffix, share):
    path = tmp_path / f"p.{suffix}"
    Image.fromarray(noise(40, 40)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"p\.{suffix}: expected a readable picture"):
        read_picture(path)


def test_text_and_missing_files_are_no_pictures(tmp_path):
    (tmp_path / "p.jpg").write_text("not a picture")
    for name in ("p.jpg", "gone.jpg"):
        for read in (read_picture, read_mask, read_size):
            with pytest.raises(InputError, match=name):
                read(tmp_path / name)


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
