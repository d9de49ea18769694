"""Outlines of ten letters in the typefaces that matplotlib ships; no split shares one.

Outlines are read in the units of the typefaces, which are integers, so that no rasteriser and no
hinting takes part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from ectool.errors import IntegrityError

LETTERS = ("A", "E", "F", "H", "K", "M", "N", "P", "R", "S")
_STYLES = ("", "-Bold", "-Oblique", "-BoldOblique")
TYPEFACES = {
    "train": (
        *(f"DejaVuSans{style}" for style in _STYLES),
        *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
        *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    ),
    "validation": tuple(f"DejaVuSansMono{style}" for style in _STYLES),
    "test": ("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10", "cmmi10"),
}
"""Files of matplotlib that the letters of each split come from."""
OUTLINES_SHA256 = "6a891c177b1f4b5d6f24876fa31700041aaf395579b656ca55abdde3285f77cb"

Outline = Float64[np.ndarray, "s 4"]
"""Directed segments (x0, y0, x1, y1), x to the right and y downwards."""

Point = Float64[np.ndarray, "2"]

_MOVE, _CURVE, _CLOSE = 1, 3, 79
_PIECES = 8
"""Straight segments of one curve."""
_FRACTION = 64
"""matplotlib divides by this: FreeType's coordinates have 6 binary digits after the point."""


@cache
def load_outlines() -> dict[str, tuple[Outline, ...]]:
    """Return the outlines of ``LETTERS`` in each typeface, verified.

    Returns:
        Outlines by file name; the letters are one unit high, around the origin.

    Raises:
        IntegrityError: The installed matplotlib has other typefaces.
    """
    names = [name for typefaces in TYPEFACES.values() for name in typefaces]
    raw = {name: tuple(_read(name)) for name in names}
    content = b"".join(outline.tobytes() for outlines in raw.values() for outline in outlines)
    digest = hashlib.sha256(content).hexdigest()
    if digest != OUTLINES_SHA256:
        raise IntegrityError(
            "matplotlib's typefaces",
            expected=f"SHA-256 {OUTLINES_SHA256}",
            got=digest,
            fix="reinstall matplotlib",
        )
    return {name: tuple(map(_centred, outlines)) for name, outlines in raw.items()}


def _read(typeface: str) -> Iterator[Outline]:
    """Yield the outline of every letter in the units of the typeface, y upwards."""
    import matplotlib
    from matplotlib.ft2font import FT2Font, LoadFlags

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{typeface}.ttf"))
    for letter in LETTERS:
        font.load_char(ord(letter), flags=LoadFlags.NO_SCALE | LoadFlags.IGNORE_TRANSFORM)
        points, codes = font.get_path()
        yield flatten(np.asarray(points, np.float64) * _FRACTION, codes.tolist())


def flatten(points: Float64[np.ndarray, "p 2"], codes: list[int]) -> Outline:
    """Replace the curves of a path by straight segments.

    Args:
        points: Points of the path, with the control points of quadratic curves.
        codes: matplotlib's code of every point.

    Returns:
        The segments of all closed contours.
    """
    starts, ends = [], []
    start = here = points[0]
    steps = iter(zip(points, codes, strict=True))
    for point, code in steps:
        if code == _MOVE:
            start = here = point
            continue
        if code == _CURVE:
            passed = _curve(here, point, next(steps)[0])
        else:
            passed = (start if code == _CLOSE else point)[None]
        starts += [here[None], passed[:-1]]
        ends.append(passed)
        here = passed[-1]
    return np.concatenate([np.concatenate(starts), np.concatenate(ends)], axis=1)


def _curve(start: Point, control: Point, end: Point) -> Float64[np.ndarray, "k 2"]:
    """Return points on a quadratic Bézier curve, without its start."""
    share = np.arange(1, _PIECES + 1)[:, None] / _PIECES
    rest = 1.0 - share
    points: Float64[np.ndarray, "k 2"] = (
        rest * rest * start + 2.0 * share * rest * control + share * share * end
    )
    return points


def _centred(outline: Outline) -> Outline:
    """Scale an outline to a height of one around the origin, and turn it y downwards."""
    points = outline.reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    centred = (points - (low + high) / 2.0) / (high[1] - low[1])
    segments: Outline = (centred * (1.0, -1.0)).reshape(-1, 4)
    return segments
