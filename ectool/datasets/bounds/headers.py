"""Image files whose headers are read only up to a limit."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from PIL import Image, UnidentifiedImageError

from ectool.input_files import MIB

MAX_HEADER = 32 * MIB
"""Bytes that are read before the size of an image is known."""
READ_WHOLE = ("WEBP", "AVIF")
"""Formats whose files Pillow reads as a whole to know the size."""
MAX_WHOLE = 128 * MIB
_SIGNATURE = 16
"""Bytes at the beginning that identify a format."""
_SCAN = b"\xff\xda"
_STORED = 8
"""Maximum number of bytes that a pixel takes in a file: four channels of 16 bits."""
_SCAN_BYTES = 10
"""Minimum length of a scan of a JPEG file."""
MAX_PASSES = 20
"""How often the scans of a JPEG may go over as many pixels as the limit allows."""


class HeaderFile(io.BufferedReader):
    """A file of which only a part can be read until its image is open.

    Attributes:
        left: Bytes that may still be read; None for all.
    """

    left: int | None = MAX_HEADER

    def read(self, size: int | None = -1, /) -> bytes:
        """Return bytes of the file.

        Raises:
            ValueError: The header is larger than allowed.
        """
        if self.left is None:
            return super().read(size)
        wanted = self.left + 1 if size is None or size < 0 else min(size, self.left + 1)
        found = super().read(wanted)
        self.left -= len(found)
        if self.left < 0:
            raise ValueError("more data before the pixels than any image has")
        return found


def open_image(file: HeaderFile, formats: Sequence[str]) -> Image.Image:
    """Return the image in a file, not loaded yet.

    In contrast to `Image.open`, it neither checks the number of pixels nor warns about it.

    Args:
        file: At its beginning.
        formats: Formats that it may have.

    Raises:
        UnidentifiedImageError: It has none of the formats.
        Exception: Its header is damaged, or longer than allowed.
    """
    Image.init()
    start = file.read(_SIGNATURE)
    for name in formats:
        make, accepts = Image.OPEN[name]
        if accepts is not None and accepts(start) is not True:
            continue
        file.seek(0)
        file.left = MAX_WHOLE if name in READ_WHOLE else MAX_HEADER
        try:
            image = make(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue  # of another format, or damaged
        file.left = None
        return image
    raise UnidentifiedImageError(f"none of the formats {', '.join(formats)}")


def check_scans(image: Image.Image, file: HeaderFile, size: int, max_pixels: int) -> None:
    """Check that decoding a JPEG does not go over its pixels again and again.

    Each scan refines all pixels, and may be ten bytes long. Files that are too short for many
    scans are not read.

    Args:
        image: The image in the file, not loaded yet.
        file: The file; its position stays as it is.
        size: Bytes of the file.
        max_pixels: Limit of the pixels of images.

    Raises:
        ValueError: It has too many scans.
    """
    pixels, passes = image.width * image.height, MAX_PASSES * max_pixels
    if image.format not in ("JPEG", "MPO") or pixels * (size // _SCAN_BYTES) <= passes:
        return
    position = file.tell()
    file.seek(0)
    # Pixels never contain the marker of a scan: a byte of 255 is followed by zero there.
    scans = file.read().count(_SCAN)
    file.seek(position)
    if pixels * scans > passes:
        raise ValueError(f"{scans:,} scans")


def unread(image: Image.Image, size: int) -> int:
    """Return the bytes of a file that may be in memory beside its pixels.

    Args:
        image: The image in the file, not loaded yet.
        size: Bytes of the file.
    """
    if image.format in READ_WHOLE:
        return size
    # What is longer than any pixels are: chunks behind them, which Pillow reads, and may copy.
    return 2 * max(0, size - _STORED * image.width * image.height)
