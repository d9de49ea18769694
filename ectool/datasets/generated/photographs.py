"""Ten photographs that scikit-image ships, and crops of them that no two splits share.

All are PNG files, which every decoder reads to the same pixels. Crops use only elementwise
operations that are rounded correctly everywhere, so they are the same on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image as Images

from ectool.datasets.generated.composition import Image
from ectool.datasets.views import Box
from ectool.errors import AbsentError, IntegrityError

PHOTOGRAPHS = (
    "astronaut",
    "brick",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "ihc",
    "moon",
    "motorcycle_left",
)
"""Files of scikit-image; each photograph is a family of backgrounds."""
PHOTOGRAPHS_SHA256 = "e5f974abb2b4539799f47940c953a021d27359c85b0c3ae76f8443c634f0b857"
REGION = 100
"""Approximate side of the regions that a photograph is divided into, in pixels."""
CROP_DRAWS = 9

Photograph = UInt8[np.ndarray, "h w 3"]
Field = Float64[np.ndarray, "s s"]

_SPLITS = ("train", "test", "train", "validation", "test")
"""Splits of five regions in a row; the next row begins two regions later."""
_SMALLEST = 0.75
_DARKEST, _BRIGHTEST = 0.6, 1.0
_TINT = 0.2


def photograph_folder() -> Path:
    """Return the folder of scikit-image's photographs, without importing it.

    Raises:
        AbsentError: scikit-image is not installed.
    """
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise AbsentError(
            "data set letters",
            expected="the photographs of the package scikit-image",
            got="no such package",
            fix="pip install 'ectool[letters]'",
        )
    return Path(found.origin).parent / "data"


@cache
def load_photographs() -> tuple[Photograph, ...]:
    """Return the photographs in RGB, in the order of ``PHOTOGRAPHS``, verified.

    Raises:
        AbsentError: scikit-image is not installed.
        IntegrityError: The installed scikit-image has other photographs.
    """
    folder = photograph_folder()
    photographs = tuple(_decode(folder / f"{name}.png") for name in PHOTOGRAPHS)
    digest = hashlib.sha256(b"".join(pixels.tobytes() for pixels in photographs)).hexdigest()
    if digest != PHOTOGRAPHS_SHA256:
        raise IntegrityError(
            "scikit-image's photographs",
            expected=f"SHA-256 {PHOTOGRAPHS_SHA256}",
            got=digest,
            fix="reinstall scikit-image",
        )
    return photographs


def _decode(path: Path) -> Photograph:
    try:
        with Images.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except OSError as error:
        raise IntegrityError(
            str(path),
            expected="a photograph of scikit-image",
            got=error.strerror or str(error),
            fix="reinstall scikit-image",
        ) from error
    pixels.setflags(write=False)
    return pixels


def regions(height: int, width: int, split: str) -> list[Box]:
    """Return the regions of a photograph that belong to a split; splits share no pixel.

    Of five regions that lie side by side, two belong to train, two to test and one to validation,
    so that every split has regions from all parts of the photograph.

    Args:
        height: Height of the photograph in pixels.
        width: Its width.
        split: One of ``SPLITS``.

    Returns:
        Boxes of about ``REGION`` pixels.
    """
    rows, columns = height // REGION, width // REGION
    y = [height * row // rows for row in range(rows + 1)]
    x = [width * column // columns for column in range(columns + 1)]
    return [
        (x[column], y[row], x[column + 1], y[row + 1])
        for row in range(rows)
        for column in range(columns)
        if _SPLITS[(column + 2 * row) % len(_SPLITS)] == split
    ]


def crop(
    photograph: Photograph, boxes: Sequence[Box], uniforms: Float64[np.ndarray, "d"], side: int
) -> Image:
    """Return a square from a photograph: rotated, mirrored, scaled, darkened and tinted.

    Args:
        photograph: Where the square is cut out.
        boxes: Regions of the photograph; the square lies inside one of them.
        uniforms: ``CROP_DRAWS`` numbers in [0, 1): region, direction (2), mirroring, scale, place
            (2), brightness, tint.
        side: Side of the result in pixels.

    Returns:
        The square, interpolated bilinearly.
    """
    x0, y0, x1, y1 = boxes[int(len(boxes) * uniforms[0])]
    cosine, sine = _direction(2.0 * uniforms[1] - 1.0, 2.0 * uniforms[2] - 1.0)
    width, height = x1 - x0 - 1.0, y1 - y0 - 1.0
    extent = min(width, height) * (_SMALLEST + (1.0 - _SMALLEST) * uniforms[4])
    step = extent / (abs(cosine) + abs(sine)) / (side - 1)
    down = (np.arange(side) - (side - 1) / 2.0) * step
    across = down if uniforms[3] < 0.5 else -down
    middle_x = x0 + extent / 2.0 + (width - extent) * uniforms[5]
    middle_y = y0 + extent / 2.0 + (height - extent) * uniforms[6]
    x = middle_x + (cosine * across[None, :] - sine * down[:, None])
    y = middle_y + (sine * across[None, :] + cosine * down[:, None])
    inside = _sample(photograph, x.clip(x0, x1 - 1.0), y.clip(y0, y1 - 1.0))
    return _tinted(inside, uniforms[7], uniforms[8])


def _direction(a: float, b: float) -> tuple[float, float]:
    """Return a unit vector without calling sine or cosine."""
    b += 1e-9
    length = np.sqrt(a * a + b * b)
    return a / length, b / length


def _sample(photograph: Photograph, x: Field, y: Field) -> Float64[np.ndarray, "3 s s"]:
    """Interpolate bilinearly between the four pixels around each point."""
    height, width = photograph.shape[:2]
    left = np.floor(x).clip(0, width - 2).astype(np.int64)
    top = np.floor(y).clip(0, height - 2).astype(np.int64)
    right_share, lower_share = (x - left)[..., None], (y - top)[..., None]
    upper_left, upper_right, lower_left, lower_right = (
        photograph[top + down, left + right].astype(np.float64)
        for down in (0, 1)
        for right in (0, 1)
    )
    upper = upper_left + (upper_right - upper_left) * right_share
    lower = lower_left + (lower_right - lower_left) * right_share
    values: Float64[np.ndarray, "s s 3"] = upper + (lower - upper) * lower_share
    return values.transpose(2, 0, 1)


def _tinted(values: Float64[np.ndarray, "3 s s"], brightness: float, tint: float) -> Image:
    """Darken an image and shift its colours between red and blue."""
    gain = _DARKEST + (_BRIGHTEST - _DARKEST) * brightness
    shift = _TINT * (2.0 * tint - 1.0)
    gains = gain * np.array([1.0 + shift, 1.0, 1.0 - shift])
    image: Image = np.floor(values * gains[:, None, None] + 0.5).clip(0, 255).astype(np.uint8)
    return image
