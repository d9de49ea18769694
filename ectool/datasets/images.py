"""Decoding of image and mask files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from ectool.config import MAX_PIXELS
from ectool.datasets.bounds.costs import BYTES, DECODING, Cost, bytes_per_pixel
from ectool.datasets.bounds.headers import HeaderFile, check_scans, open_image, unread
from ectool.datasets.formats import readable_formats
from ectool.datasets.pixels import as_grey, as_rgb, object_of
from ectool.errors import EctoolError, InputError
from ectool.input_files import IMAGE, open_regular


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


_LYING = (5, 6, 7, 8)
"""Orientations whose width and height are exchanged."""
ImageSource = Path | EncodedImage
Scaled = Callable[[int, int], int]
"""Returns the pixels of the scaled image that the view of an image (width, height) is cut out of.
"""


def unscaled(_width: int, _height: int) -> int:
    """Return no pixels: the image is not scaled."""
    return 0


def read_image(path: ImageSource, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image file to RGB.

    EXIF orientation is applied, transparent pixels are blended with white, 16-bit grey is scaled
    to 8 bits (colours of 16 bits lose their lower 8 bits). Of several frames (GIF, WebP, APNG,
    TIFF) the first is read, as in torchvision. CMYK is read as Adobe writes it; colour profiles
    are ignored.

    Args:
        path: A file, or its bytes, in one of the formats of docs/data.md. Its name does not
            matter, except for formats without a signature (TGA, PCX, ...).
        max_pixels: Maximum number of pixels; more are refused before they are decoded.

    Returns:
        The image in mode RGB.

    Raises:
        InputError: The file is not an image, is damaged or too large, or has pixels without a
            defined colour: floating-point, signed or 32-bit ones, CIELAB.
    """
    with _checked(path, max_pixels) as image, _readable(path):
        return as_rgb(image)


@contextmanager
def decoded(
    source: ImageSource, max_pixels: int, scaled: Scaled = unscaled
) -> Iterator[Image.Image]:
    """Yield an image in RGB, which ends with the block; this thread holds the memory it takes.

    Args:
        source: As for :func:`read_image`.
        max_pixels: Maximum number of pixels, also of the scaled image.
        scaled: Pixels of the scaled image.

    Raises:
        InputError: As :func:`read_image`.
    """
    with _checked(source, max_pixels, scaled) as image:
        with _readable(source):
            shown = as_rgb(image)
        yield shown
        shown.close()  # frees its memory before the next thread takes as much
        image.close()


def read_size(path: ImageSource, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) of an image as displayed; read only its header where possible.

    Args:
        path: An image file.
        max_pixels: Maximum number of pixels.

    Returns:
        Width and height in pixels after EXIF orientation.

    Raises:
        InputError: The file is not an image, is damaged or too large.
    """
    with _checked(path, max_pixels) as image, _readable(path):
        if image.getexif().get(ExifTags.Base.Orientation) not in _LYING:
            return image.size
        if image.format == "TIFF":  # versions of Pillow differ in the size before it is decoded
            ImageOps.exif_transpose(image, in_place=True)
            return image.size
        return image.height, image.width


def read_mask(path: ImageSource, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an object mask; every pixel that is not zero belongs to the object.

    Zero means index 0 of a palette, black for colours and in the palette of a GIF, and less than
    128 in lossy formats (JPEG, WebP, AVIF, JPEG 2000). An alpha channel is ignored. EXIF
    orientation is applied, as to images.

    Args:
        path: An image file.
        max_pixels: Maximum number of pixels.

    Returns:
        The mask in mode L: 255 on the object, 0 elsewhere.

    Raises:
        InputError: The file is not an image, is damaged or too large.
    """
    with _checked(path, max_pixels, is_mask=True) as image, _readable(path):
        return Image.fromarray(object_of(image).view(np.uint8) * np.uint8(255))


def read_palette(path: Path, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w"]:
    """Return the palette indices of an image; a map of classes stores one index per class.

    Args:
        path: An image with a palette of at most 256 colours.
        max_pixels: Maximum number of pixels.

    Raises:
        InputError: The file is not an image, is damaged or too large, or has no palette.
    """
    with _checked(path, max_pixels, is_mask=True) as image, _readable(path):
        if image.mode != "P":
            raise ValueError(f"mode {image.mode} instead of a palette")
        ImageOps.exif_transpose(image, in_place=True)
        return np.array(image)


def read_grey(path: Path, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "h w"]:
    """Return the grey levels of an image, 0 to 255; an alpha channel is ignored.

    Args:
        path: An image of 8 bits a channel.
        max_pixels: Maximum number of pixels.

    Raises:
        InputError: The file is not an image, is damaged or too large.
    """
    with _checked(path, max_pixels, is_mask=True) as image, _readable(path):
        return as_grey(image)


@contextmanager
def _checked(
    source: ImageSource, max_pixels: int, scaled: Scaled = unscaled, *, is_mask: bool = False
) -> Iterator[Image.Image]:
    """Yield an image that is not loaded yet, while this thread holds the memory that it takes."""
    with _opened(source) as (file, size):
        with _readable(source):
            name = source.file_name if isinstance(source, EncodedImage) else source.name
            image = open_image(file, readable_formats(name))
            check_scans(image, file, size, max_pixels)
            cost = Cost(image.size, bytes_per_pixel(image, is_mask=is_mask), unread(image, size))
        after = max(scaled(*image.size), scaled(*image.size[::-1]))
        needed = cost.checked(str(source), after, max_pixels)
        with DECODING.holding(needed, max_pixels * BYTES):
            yield image


@contextmanager
def _opened(source: ImageSource) -> Iterator[tuple[HeaderFile, int]]:
    """Yield a file, and its size in bytes."""
    if isinstance(source, EncodedImage):
        yield HeaderFile(io.BytesIO(source.content)), len(source.content)
        return
    with _readable(source):
        file = HeaderFile(open_regular(source, IMAGE).detach())
    with file:
        yield file, os.fstat(file.fileno()).st_size


@contextmanager
def _readable(source: ImageSource) -> Iterator[None]:
    """Convert errors of damaged files: they can be of any kind."""
    in_memory = isinstance(source, EncodedImage)
    try:
        yield
    except EctoolError:
        raise
    except Exception as error:
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
    with open_regular(path) as file:
        return file.read(16)
