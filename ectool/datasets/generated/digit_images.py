"""Objects and textures of one image of the digits data set.

Like the textures, they use only arithmetic that is rounded correctly on every machine.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, UInt8

from ectool.datasets.generated.composition import Draw, Image, Mask
from ectool.datasets.generated.textures import TEXTURES, texture_draws

SIDE = 32
FAMILIES = tuple(TEXTURES.values())
PAINT_DRAWS = 14 + SIDE * SIDE


def place_object(digit: UInt8[np.ndarray, "8 8"], draw: Draw) -> tuple[Image, Mask]:
    """Enlarge a digit, and draw it on black at a random place in a random light colour.

    Args:
        digit: Ink, 0 to 16.
        draw: Source of scale, place and colour.

    Returns:
        The digit on black and its crisp mask.
    """
    scale, top, left, light, *tint = draw("object", 7)
    side = 12 + int(7 * scale)
    ink = enlarge(digit, side)
    y, x = int((SIDE - side + 1) * top), int((SIDE - side + 1) * left)
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[y : y + side, x : x + side] = ink >= 0.5
    colour = np.floor(150.0 + 65.0 * light + 40.0 * np.array(tint)).astype(np.uint8)
    return colour[:, None, None] * mask.astype(np.uint8), mask


def enlarge(digit: UInt8[np.ndarray, "8 8"], side: int) -> Float64[np.ndarray, "s s"]:
    """Interpolate a digit smoothly (Keys' cubic convolution, a = -1/2) to another size.

    The weights are rounded to multiples of 2^-20, so that the matrix product is exact in integers
    and the mask cannot differ between machines.

    Args:
        digit: Ink, 0 to 16.
        side: Side of the result in pixels.

    Returns:
        Ink relative to full ink; may overshoot [0, 1] slightly.
    """
    at = (np.arange(side) + 0.5) * 8.0 / side - 0.5
    t = np.abs(at[:, None] - np.arange(-2, 10))
    near = (1.5 * t - 2.5) * t * t + 1.0
    far = ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    weights = np.where(t < 1.0, near, np.where(t < 2.0, far, 0.0))
    whole = np.floor(weights * 2.0**20 + 0.5).astype(np.int64)
    padded = np.pad(digit.astype(np.int64), 2)
    ink: Float64[np.ndarray, "s s"] = (whole @ padded @ whole.T) / (16.0 * 2.0**40)
    return ink


def paint(family: int, uniforms: Float64[np.ndarray, "d"]) -> Image:
    """Draw a texture between two dark colours.

    Args:
        family: Index into ``TEXTURES``.
        uniforms: ``PAINT_DRAWS`` numbers in [0, 1): seven for the colours, the rest for
            ``texture_draws``.

    Returns:
        An image with values from 0 to 170.
    """
    field = FAMILIES[family](texture_draws(uniforms[7:], SIDE))
    dark = 60.0 * uniforms[:3]
    light = 90.0 + 80.0 * uniforms[3:6]
    first, second = (dark, light) if uniforms[6] < 0.5 else (light, dark)
    mixed = first[:, None, None] + (second - first)[:, None, None] * field
    image: Image = np.floor(mixed + 0.5).astype(np.uint8)
    return image
