"""The memory that an image needs, from its header alone, and how much of it threads share."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import ExifTags, Image

from ectool.errors import InputError

BYTES = 5
"""Bytes of memory for each pixel of the limit: an image in RGB takes four, its conversion the
rest."""
_RGB = 4
_STORED = {"1": 1, "L": 1, "P": 1, "LA": 4, "PA": 4, "La": 4, "F": 4, "I": 4}
"""Bytes of a pixel in memory by mode; 2 for other integers, 4 for colours."""
_DECODERS = {"webp": 12, "avif": 8, "jpeg2k": 16, "dds_rgb": 40}
"""Additional bytes of a pixel that decoders hold; a test measures them."""
_PROGRESSIVE = 6
"""Additional bytes of a pixel of a JPEG in several scans: its coefficients."""
_LARGE = 2**27
"""Bytes whose memory is returned to the system at once."""
_IN_PYTHON = 40
"""Additional bytes of a pixel of decoders in Python, which take no memory but time."""


def bytes_per_pixel(image: Image.Image, *, is_mask: bool) -> int:
    """Return the memory in bytes that each pixel of an image takes until it is RGB or a mask.

    Args:
        image: Not loaded yet.
        is_mask: Whether it is read as a mask; else as RGB.
    """
    is_wide = image.mode.startswith("I")
    stored = _STORED.get(image.mode, 2 if is_wide else _RGB)
    copies = 2 if is_turned(image) else 1
    is_ready = image.mode == "RGB" and not image.has_transparency_data and not is_mask
    return stored * copies + (0 if is_ready else _RGB) + 2 * is_wide + _of_decoder(image)


def is_turned(image: Image.Image) -> bool:
    """Return whether EXIF says that an image is displayed in another orientation.

    A PNG may say so after its pixels; that is found when it is decoded.
    """
    has_exif = "exif" in image.info or image.format == "TIFF"
    return has_exif and image.getexif().get(ExifTags.Base.Orientation, 1) != 1


def _of_decoder(image: Image.Image) -> int:
    """Return the bytes of a pixel that the decoder holds beside the image."""
    tiles = getattr(image, "tile", None)
    name = str(tiles[0][0]) if tiles else ""
    if name in Image.DECODERS:
        return _IN_PYTHON
    if image.info.get("progressive"):
        return _PROGRESSIVE
    return _DECODERS.get(name, _DECODERS.get(str(image.format).lower(), 0))


def _return_memory() -> None:
    """Return freed memory to the system; glibc keeps some for each thread."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Budget:
    """Memory that threads share: what one takes, the others wait for.

    A thread that asks for more than there is gets it once the others hold nothing.
    """

    def __init__(self) -> None:
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, amount: int, total: int) -> Iterator[None]:
        """Hold an amount within the block; blocks of one thread are not nested.

        Args:
            amount: In bytes.
            total: Maximum that all threads hold together.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._held == 0 or self._held + amount <= total)
            self._held += amount
        try:
            yield
        finally:
            if amount > _LARGE:
                _return_memory()
            with self._changed:
                self._held -= amount
                self._changed.notify_all()


DECODING = Budget()
"""Memory of the images that this process decodes."""


@dataclass(frozen=True)
class Cost:
    """What the header of an image says about its memory.

    Attributes:
        size: (width, height) in pixels.
        per_pixel: Bytes of each pixel, see :func:`bytes_per_pixel`.
        beside: Bytes beside the pixels.
    """

    size: tuple[int, int]
    per_pixel: int
    beside: int = 0

    def checked(self, subject: str, scaled: int, max_pixels: int) -> int:
        """Check the size of an image before it is decoded.

        Args:
            subject: The file, for the message.
            scaled: Pixels of the scaled image that its view is cut out of.
            max_pixels: Limit of the pixels of both.

        Returns:
            The memory in bytes that it takes.

        Raises:
            InputError: It has no pixels, more than the limit, or needs too much memory.
        """
        width, height = self.size
        shape, pixels, limit = f"{width} x {height}", width * height, max_pixels * BYTES
        if min(self.size) < 1:
            raise InputError(subject, expected="at least one pixel", got=shape, fix="remove it")
        needed = pixels * self.per_pixel + scaled * _RGB + self.beside
        if pixels > max_pixels:
            expected, got = f"at most {max_pixels:,} pixels", shape
        elif scaled > max_pixels:
            expected, got = f"at most {max_pixels:,} pixels after scaling", f"{scaled:,} of {shape}"
        elif needed > limit:
            expected = f"at most {limit:,} bytes in memory ({BYTES} for each of --max-pixels)"
            got = f"{needed:,} for {shape}"
        else:
            return needed
        fix = "scale it down, or raise --max-pixels if you trust the file"
        raise InputError(subject, expected=expected, got=got, fix=fix)
