"""Ten families of procedural grey-level textures that are easy to distinguish.

Only elementwise IEEE operations that are rounded correctly everywhere (+, -, *, /, square root,
floor, comparison) are used, and no sums or transcendental functions, so that the same draws give
the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Field = Float64[np.ndarray, "s s"]
BLOB_KNOTS = 6


@dataclass(frozen=True)
class TextureDraws:
    """Everything random about one texture.

    Attributes:
        u: First rotated coordinate of every pixel, in periods, with a random phase.
        v: Second coordinate, at a right angle to ``u``.
        radius: Distance of every pixel from a random centre, in periods.
        turn: Angle of every pixel about that centre, in turns, [0, 1).
        noise: Independent uniform numbers in [0, 1).
    """

    u: Field
    v: Field
    radius: Field
    turn: Field
    noise: Field


def texture_draws(uniforms: Float64[np.ndarray, "d"], side: int) -> TextureDraws:
    """Turn uniform numbers into the coordinates that a texture is a function of.

    Args:
        uniforms: ``7 + side * side`` numbers in [0, 1): direction (2), phases (2), period,
            centre (2), then one for every pixel.
        side: Side of the image in pixels.

    Returns:
        Coordinates in periods; a period is 5 to 8 pixels at a side of 32.
    """
    y, x = np.mgrid[:side, :side].astype(np.float64)
    period = (5.0 + 3.0 * uniforms[4]) * side / 32.0
    cosine, sine = _direction(uniforms[0], uniforms[1])
    dx, dy = x - side * uniforms[5], y - side * uniforms[6]
    return TextureDraws(
        u=(cosine * x + sine * y) / period + uniforms[2],
        v=(cosine * y - sine * x) / period + uniforms[3],
        radius=np.sqrt(dx * dx + dy * dy) / period,
        turn=_diamond_angle(dx, dy),
        noise=uniforms[7:].reshape(side, side),
    )


def _direction(first: float, second: float) -> tuple[float, float]:
    """Return a unit vector in the first quadrant without calling sine or cosine."""
    a, b = first + 1e-3, second + 1e-3
    length = np.sqrt(a * a + b * b)
    return a / length, b / length


def _diamond_angle(dx: Field, dy: Field) -> Field:
    """Return the angle in turns, measured along a diamond in place of a circle."""
    quarter = dy / (np.abs(dx) + np.abs(dy) + 1e-9)
    turn: Field = np.where(dx >= 0, 1.0 + quarter, 3.0 - quarter) / 4.0
    return turn


def _fraction(t: Field) -> Field:
    fraction: Field = t - np.floor(t)
    return fraction


def _triangle(t: Field) -> Field:
    triangle: Field = np.abs(2.0 * _fraction(t) - 1.0)
    return triangle


def _bars(t: Field) -> Field:
    return (_fraction(t) < 0.5).astype(np.float64)


def stripes(draws: TextureDraws) -> Field:
    """Straight bars of equal width."""
    return _bars(draws.u)


def checks(draws: TextureDraws) -> Field:
    """A rotated chessboard."""
    field: Field = np.abs(_bars(0.75 * draws.u) - _bars(0.75 * draws.v))
    return field


def dots(draws: TextureDraws) -> Field:
    """Discs on a rotated square lattice."""
    a, b = _fraction(draws.u) - 0.5, _fraction(draws.v) - 0.5
    return (a * a + b * b < 0.1).astype(np.float64)


def blobs(draws: TextureDraws) -> Field:
    """Smooth clouds: coarse noise, interpolated linearly."""
    side = len(draws.noise)
    knots = draws.noise[:BLOB_KNOTS, :BLOB_KNOTS]
    at = np.arange(side) * ((BLOB_KNOTS - 1) / side)
    low = np.floor(at).astype(np.int64)
    rest = at - low
    rows = knots[low] * (1.0 - rest)[:, None] + knots[low + 1] * rest[:, None]
    field: Field = rows[:, low] * (1.0 - rest) + rows[:, low + 1] * rest
    return field


def waves(draws: TextureDraws) -> Field:
    """Zigzag bars."""
    return _bars(draws.u + 0.9 * _triangle(0.6 * draws.v))


def rings(draws: TextureDraws) -> Field:
    """Concentric circles about a random centre."""
    return _bars(draws.radius)


def noise(draws: TextureDraws) -> Field:
    """Independent grey pixels."""
    return draws.noise


def bricks(draws: TextureDraws) -> Field:
    """Courses of bricks, every other one shifted by half a brick, with thin mortar."""
    row = np.floor(draws.u)
    along = 0.5 * draws.v + 0.5 * (row - 2.0 * np.floor(row / 2.0))
    mortar = (_fraction(draws.u) < 0.2) | (_fraction(along) < 0.1)
    return 1.0 - mortar


def grid(draws: TextureDraws) -> Field:
    """Thin lines that cross at right angles."""
    lines = (_fraction(draws.u) < 0.25) | (_fraction(draws.v) < 0.25)
    return lines.astype(np.float64)


def rays(draws: TextureDraws) -> Field:
    """Sectors that meet in a random centre."""
    return _bars(8.0 * draws.turn)


TEXTURES: dict[str, Callable[[TextureDraws], Field]] = {
    "stripes": stripes,
    "checks": checks,
    "dots": dots,
    "blobs": blobs,
    "waves": waves,
    "rings": rings,
    "noise": noise,
    "bricks": bricks,
    "grid": grid,
    "rays": rays,
}
