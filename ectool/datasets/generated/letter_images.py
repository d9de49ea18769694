"""The object of one image of the letters data set, with only correctly rounded arithmetic."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from ectool.datasets.generated.composition import Draw, Image, Mask
from ectool.datasets.generated.letter_outlines import Outline

SIDE = 64
MARGIN = 4
"""Distance of the letter from the borders of the image; its rim may come nearer."""

Points = Float64[np.ndarray, "p 2"]

_LONGEST = 44.0
_FEWEST, _MOST = 0.055, 0.095
"""Share of the image that the letter covers without its rim."""
_TURN, _SLANT = 0.4, 0.4
_NARROWEST, _WIDEST = 0.8, 1.2
_SHADE = 0.3
_HALF = 128.0


def place_letter(outline: Outline, draw: Draw) -> tuple[Image, Mask]:
    """Draw a letter on black: turned, slanted, in a random size, place and colour, with a rim.

    The rim is one pixel wide, white around dark colours and black around light ones, so that the
    letter stands out from any background. It belongs to the object. Thin letters are widened.

    Args:
        outline: Outline of the letter, around the origin.
        draw: Source of form, place and colour.

    Returns:
        The letter on black, and its mask.
    """
    form, place = draw("form", 4), draw("place", 2)
    points = _scaled(_turned(outline.reshape(-1, 2), form[1:]), form[0])
    low, high = points.min(axis=0), points.max(axis=0)
    free = SIDE - 2 * MARGIN - (high - low)
    inside = fill((points - low + MARGIN + free * place).reshape(-1, 4), SIDE)
    while np.count_nonzero(inside) < _FEWEST * SIDE * SIDE:
        inside = widen(inside)
    mask = widen(inside)
    return _coloured(inside, mask, draw("colour", 5)), mask


def _turned(points: Points, uniforms: Float64[np.ndarray, "3"]) -> Points:
    """Slant, stretch and turn points about the origin."""
    slant, stretch, turn = uniforms
    sine = _TURN * (2.0 * turn - 1.0)
    cosine = np.sqrt(1.0 - sine * sine)
    x = points[:, 0] + _SLANT * (2.0 * slant - 1.0) * points[:, 1]
    x, y = x * (_NARROWEST + (_WIDEST - _NARROWEST) * stretch), points[:, 1]
    return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1)


def _scaled(points: Points, share: float) -> Points:
    """Scale an outline so that it covers a share of the image, unless it becomes too long."""
    x0, y0, x1, y1 = points.reshape(-1, 4).T
    # A running sum has one order of its terms; numpy's sum has another on each processor.
    area = abs(np.cumsum(x0 * y1 - x1 * y0)[-1]) / 2.0
    covered = (_FEWEST + (_MOST - _FEWEST) * share) * SIDE * SIDE
    length = (points.max(axis=0) - points.min(axis=0)).max()
    scaled: Points = points * min(np.sqrt(covered / area), _LONGEST / length)
    return scaled


def fill(outline: Outline, side: int) -> Mask:
    """Return the pixels whose centres lie inside an outline, by the nonzero winding rule.

    Args:
        outline: Closed contours in pixels.
        side: Side of the mask in pixels.
    """
    x0, y0, x1, y1 = outline.T
    centres = np.arange(side)[:, None] + 0.5
    downward, upward = (y0 <= centres) & (centres < y1), (y1 <= centres) & (centres < y0)
    rows, crossing = np.nonzero(downward | upward)
    share = (centres[rows, 0] - y0[crossing]) / (y1 - y0)[crossing]
    x = x0[crossing] + share * (x1 - x0)[crossing]
    first = np.ceil(x - 0.5).clip(0, side).astype(np.int64)
    winding: Int64[np.ndarray, "s t"] = np.zeros((side, side + 1), np.int64)
    np.add.at(winding, (rows, first), np.where(downward[rows, crossing], 1, -1))
    return np.asarray(winding.cumsum(axis=1)[:, :side] != 0)


def widen(mask: Mask) -> Mask:
    """Add the pixels that share a side with a mask."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    return wide


def _coloured(inside: Mask, mask: Mask, uniforms: Float64[np.ndarray, "5"]) -> Image:
    """Fill the letter with one colour under a soft light from one side, and draw its rim."""
    red, green, blue = colour = 255.0 * uniforms[:3]
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    light = 1.0 - _SHADE * np.abs(uniforms[3] * y + uniforms[4] * x)
    rim = 255.0 if (red + green + blue) / 3.0 < _HALF else 0.0
    painted = np.where(inside, colour[:, None, None] * light, np.where(mask, rim, 0.0))
    image: Image = np.floor(painted).astype(np.uint8)
    return image
