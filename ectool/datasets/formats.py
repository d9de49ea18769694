"""Image formats that are opened, and their file name extensions."""

from __future__ import annotations

from functools import cache
from pathlib import Path, PurePath

from PIL import Image

_SIGNED = (
    *("AVIF", "BMP", "DDS", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "SGI", "TIFF"),
    "WEBP",
)
"""Formats that are opened. Those of icons, documents and instruments are not: their decoders start
programs, have no bounds of memory, or do not define which level is white."""
_UNSIGNED = ("DIB", "PCX", "SUN", "TGA")
"""Formats without a signature at the start of the file: only the extension identifies them."""


def is_image_name(name: str) -> bool:
    """Return whether a file name has the extension of an image, in any case."""
    return PurePath(name).suffix.lower() in _format_of()


def image_names(folder: Path) -> list[str]:
    """Return the names of the images in a folder, sorted, without hidden ones.

    Args:
        folder: A folder; if it does not exist, there are no images.
    """
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted(name for name in names if is_image_name(name) and not name.startswith("."))


def readable_formats(name: str) -> list[str]:
    """Return the formats that a file may have.

    Args:
        name: Its name; the extension counts only for formats without a signature.
    """
    own = _format_of().get(PurePath(name).suffix.lower())
    return [*_signed(), own] if own in _UNSIGNED else _signed()


@cache
def _signed() -> list[str]:
    Image.init()
    return [name for name in Image.ID if name in _SIGNED]


@cache
def _format_of() -> dict[str, str]:
    """Map extensions to formats; multi-image JPEG files are opened as JPEG."""
    readable = {*_signed(), *_UNSIGNED, "MPO"}
    registered = Image.registered_extensions()
    return {extension: name for extension, name in registered.items() if name in readable}
