"""Picture files, decoded as a person sees them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ectool.errors import InputError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
"""Whatever the file is called; among the others are some that start foreign programs (EPS)."""
_SIXTEEN_BITS = 2**16 - 1
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


def read_picture(path: Path) -> Image.Image:
    """Decode a picture file to RGB.

    EXIF orientation is applied, transparency laid over white, 16-bit grey scaled to 8 bits; of
    several frames (GIF, WebP, APNG, TIFF) the first counts, as by torchvision. CMYK is read as
    Adobe writes it, colour profiles are ignored.

    Args:
        path: A JPEG, PNG, PNM, BMP, TIFF, WebP or GIF file, whatever it is called.

    Returns:
        The picture in mode RGB.

    Raises:
        InputError: The file is no picture, is damaged, or has floating-point or 32-bit pixels.
    """
    with _opened(path) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        return _as_rgb(picture)


def read_size(path: Path) -> tuple[int, int]:
    """Return (width, height) of a picture as it is displayed, from its header where possible.

    Args:
        path: A file of one of ``EXTENSIONS``.

    Returns:
        Width and height in pixels after EXIF orientation.

    Raises:
        InputError: The file is no picture or is damaged.
    """
    with _opened(path) as picture:
        if picture.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            ImageOps.exif_transpose(picture, in_place=True)
        return picture.size


def read_mask(path: Path) -> Image.Image:
    """Decode an object mask; every pixel that is not zero is object.

    Zero means index 0 in a palette and black in colours; an alpha channel is ignored.

    Args:
        path: A picture file.

    Returns:
        The mask in mode L: 255 on the object, 0 elsewhere.

    Raises:
        InputError: The file is no picture or is damaged.
    """
    with _opened(path) as picture:
        ImageOps.exif_transpose(picture, in_place=True)
        pixels = np.asarray(picture)
        colours = len(picture.getbands()) - picture.getbands()[-1].count("A")
    inside = pixels.reshape(*pixels.shape[:2], -1)[:, :, :colours].any(axis=2)
    return Image.fromarray(inside.astype(np.uint8) * 255)


def read_palette(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the palette indices of a picture, which are what a map of classes stores.

    Args:
        path: A picture with a palette of at most 256 colours.

    Raises:
        InputError: The file is no picture, is damaged, or has no palette.
    """
    with _opened(path) as picture:
        if picture.mode != "P":
            raise ValueError(f"mode {picture.mode} in the place of a palette")
        return np.array(picture)


def read_grey(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the grey levels of a picture, 0 to 255; an alpha channel is ignored.

    Args:
        path: A picture of 8 bits a channel.

    Raises:
        InputError: The file is no picture or is damaged.
    """
    with _opened(path) as picture:
        return np.array(picture.convert("L"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(path, formats=_FORMATS) as picture:
            yield picture
    except _UNREADABLE as error:
        raise InputError(
            str(path),
            expected="a readable picture",
            got=_found(path, error),
            fix="restore the file or remove it from the folder",
        ) from error


def _found(path: Path, error: Exception) -> str:
    if not isinstance(error, UnidentifiedImageError):
        return f"{type(error).__name__} ({error})"
    with path.open("rb") as file:
        start = file.read(16)
    return f"a file that begins with {start!r}" if start else "an empty file"


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        return _from_16_bits(picture)
    if picture.mode == "F":
        raise ValueError("floating-point pixels, whose white is not defined")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB")


def _from_16_bits(picture: Image.Image) -> Image.Image:
    grey = np.asarray(picture).astype(np.int64)
    if grey.min() < 0 or grey.max() > _SIXTEEN_BITS:
        raise ValueError("32-bit pixels, whose white is not defined")
    rounded = (grey * 255 + _SIXTEEN_BITS // 2) // _SIXTEEN_BITS
    return Image.fromarray(rounded.astype(np.uint8)).convert("RGB")
