"""Decoding of image and mask files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ectool.datasets.formats import readable_formats
from ectool.datasets.pixels import as_grey, as_rgb, object_of
from ectool.errors import InputError


@dataclass(frozen=True)
class EncodedImage:
    """An image file in memory.

    Attributes:
        name: What messages call it.
        content: The bytes of the file.
        file_name: Its name, whose extension counts only for formats without a signature.
    """

    name: str
    content: bytes
    file_name: str = ""

    def __str__(self) -> str:
        return self.name


ImageSource = Path | EncodedImage


def read_image(path: ImageSource) -> Image.Image:
    """Decode an image file to RGB.

    EXIF orientation is applied, transparent pixels are blended with white, 16-bit grey is scaled
    to 8 bits (colours of 16 bits lose their lower 8 bits). Of several frames (GIF, WebP, APNG,
    TIFF) the first is read, as in torchvision. CMYK is read as Adobe writes it; colour profiles
    are ignored.

    Args:
        path: A file, or its bytes, that Pillow reads without another program. Its name does not
            matter, except for formats without a signature (TGA, PCX, ...).

    Returns:
        The image in mode RGB.

    Raises:
        InputError: The file is not an image, is damaged, or has pixels without a defined colour:
            floating-point, signed or 32-bit ones, CIELAB.
    """
    with _opened(path) as image:
        return as_rgb(image)


def read_size(path: ImageSource) -> tuple[int, int]:
    """Return (width, height) of an image as displayed; read only its header where possible.

    Args:
        path: An image file.

    Returns:
        Width and height in pixels after EXIF orientation.

    Raises:
        InputError: The file is not an image or is damaged.
    """
    with _opened(path) as image:
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            ImageOps.exif_transpose(image, in_place=True)
        return image.size


def read_mask(path: ImageSource) -> Image.Image:
    """Decode an object mask; every pixel that is not zero belongs to the object.

    Zero means index 0 of a palette, black for colours and in the palette of a GIF, and less than
    128 in lossy formats (JPEG, WebP, AVIF, JPEG 2000). An alpha channel is ignored. EXIF
    orientation is applied, as to images.

    Args:
        path: An image file.

    Returns:
        The mask in mode L: 255 on the object, 0 elsewhere.

    Raises:
        InputError: The file is not an image or is damaged.
    """
    with _opened(path) as image:
        return Image.fromarray(object_of(image).astype(np.uint8) * 255)


def read_palette(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the palette indices of an image; a map of classes stores one index per class.

    Args:
        path: An image with a palette of at most 256 colours.

    Raises:
        InputError: The file is not an image, is damaged, or has no palette.
    """
    with _opened(path) as image:
        if image.mode != "P":
            raise ValueError(f"mode {image.mode} instead of a palette")
        ImageOps.exif_transpose(image, in_place=True)
        return np.array(image)


def read_grey(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Return the grey levels of an image, 0 to 255; an alpha channel is ignored.

    Args:
        path: An image of 8 bits a channel.

    Raises:
        InputError: The file is not an image or is damaged.
    """
    with _opened(path) as image:
        return as_grey(image)


@contextmanager
def _opened(source: ImageSource) -> Iterator[Image.Image]:
    in_memory = isinstance(source, EncodedImage)
    name = source.file_name if isinstance(source, EncodedImage) else source.name
    file = io.BytesIO(source.content) if isinstance(source, EncodedImage) else source
    try:
        with Image.open(file, formats=readable_formats(name)) as image:
            yield image
    except Exception as error:  # damaged bytes can raise any exception
        raise InputError(
            str(source),
            expected="a readable image",
            got=_found(source, error),
            fix="correct the row or remove it"
            if in_memory
            else "restore the file or remove it from the folder",
        ) from error


def _found(source: ImageSource, error: Exception) -> str:
    if not isinstance(error, UnidentifiedImageError):
        return f"{type(error).__name__} ({error})"
    start = source.content[:16] if isinstance(source, EncodedImage) else _start(source)
    return f"a file that begins with {start!r}" if start else "an empty file"


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)
