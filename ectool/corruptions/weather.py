"""Weather: snow, fog and brightness."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float32, Float64
from numpy.random import Generator

from ectool.corruptions.filters import motion, zoom
from ectool.corruptions.pixels import Generators, Images, Planes, drawn, to_levels, to_unit
from ectool.corruptions.severities import Severities

SNOW = Severities(
    cifar_c=(
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
    ),
    tiny_imagenet_c=(
        (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.8),
        (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.6),
    ),
    imagenet_c=(
        (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
    ),
)
"""Mean, deviation, zoom and threshold of the flakes, radius and sigma of their fall, clarity."""
FOG = Severities(
    cifar_c=((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    tiny_imagenet_c=((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
    imagenet_c=((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
)
"""Density, decay of the plasma fractal."""
LIGHT = Severities(
    cifar_c=(0.05, 0.1, 0.15, 0.2, 0.3),
    tiny_imagenet_c=(0.1, 0.2, 0.3, 0.4, 0.5),
    imagenet_c=(0.1, 0.2, 0.3, 0.4, 0.5),
)
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601)."""


def snow(images: Images, severity: int, generators: Generators) -> Images:
    """Add snow: ``clarity * x + (1 - clarity) * max(x, 1.5 * grey + 0.5) + snow + rotated snow``.

    The snow is normal noise, zoomed, set to 0 below a threshold and blurred in the direction of its
    fall; it is added a second time, rotated by 180 degrees.
    """
    mean, deviation, factor, threshold, radius, sigma, clarity = SNOW.of(images, severity)
    generators = list(generators)
    size = (1, *images.shape[2:])
    noise = drawn(generators, partial(Generator.standard_normal, size=size, dtype=np.float32))
    flakes = zoom(mean + deviation * noise, factor)
    flakes = np.clip(np.where(flakes < threshold, 0, flakes), 0, 1)
    angles = drawn(generators, partial(Generator.uniform, low=-135, high=-45))
    fallen = np.stack(
        [motion(each, radius, sigma, angle) for each, angle in zip(flakes, angles, strict=True)]
    )
    planes = to_unit(images)
    whitened = np.maximum(planes, 1.5 * _grey(planes) + 0.5)
    return to_levels(clarity * planes + (1 - clarity) * whitened + fallen + fallen[..., ::-1, ::-1])


def fog(images: Images, severity: int, generators: Generators) -> Images:
    """Add a plasma fractal: ``(x + density * plasma) * max(x) / (max(x) + density)``."""
    density, decay = FOG.of(images, severity)
    height, width = images.shape[2:]
    side = 1 << (max(height, width, 2) - 1).bit_length()
    clouds = plasma(side, decay, list(generators))[:, None, :height, :width].astype(np.float32)
    planes = to_unit(images)
    brightest = planes.max(axis=(1, 2, 3), keepdims=True)
    return to_levels((planes + density * clouds) * (brightest / (brightest + density)))


def brightness(images: Images, severity: int, _: Generators) -> Images:
    """Raise the value of HSV by a constant, at the same hue and saturation.

    ``x * min(value + light, 1) / value``, ``value = max over red, green and blue``; black
    becomes grey.
    """
    planes = to_unit(images)
    value = planes.max(axis=1, keepdims=True)
    raised = np.minimum(value + LIGHT.of(images, severity), 1)
    black = value == 0
    gain = raised / np.where(black, 1, value)
    return to_levels(np.where(black, raised, planes * gain))


def _grey(planes: Planes) -> Float32[np.ndarray, "n 1 h w"]:
    red, green, blue = np.split(planes, 3, axis=1)
    grey: Float32[np.ndarray, "n 1 h w"] = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return grey


def plasma(
    side: int, decay: float, generators: Sequence[Generator]
) -> Float64[np.ndarray, "n side side"]:
    """Draw plasma fractals on a torus with the diamond-square algorithm.

    Starting from one point, each point in the middle of four is set to their mean plus uniform
    noise, until every point is set. The noise is divided by ``decay ** 2`` whenever the step of the
    grid is halved (Fournier, Fussell and Carpenter 1982, in Hendrycks and Dietterich's version).

    Args:
        side: A power of two, at least 2.
        decay: Larger values give smoother fractals.
        generators: One for each fractal.

    Returns:
        Heights scaled to [0, 1].
    """
    heights = np.zeros((len(generators), side, side))
    step, amplitude = side, 1.0
    while step > 1:
        half = step // 2
        corners = heights[:, ::step, ::step]
        below, right = _rolled(corners, -1, axis=1), _rolled(corners, -1, axis=2)
        noise = np.stack(
            [g.uniform(-amplitude, amplitude, (3, *corners.shape[1:])) for g in generators], axis=1
        )
        centres = (corners + below + right + _rolled(below, -1, axis=2)) / 4 + noise[0]
        above, left = _rolled(centres, 1, axis=1), _rolled(centres, 1, axis=2)
        heights[:, half::step, half::step] = centres
        heights[:, ::step, half::step] = (corners + right + centres + above) / 4 + noise[1]
        heights[:, half::step, ::step] = (corners + below + centres + left) / 4 + noise[2]
        step, amplitude = half, amplitude / decay**2
    heights -= heights.min(axis=(1, 2), keepdims=True)
    heights /= heights.max(axis=(1, 2), keepdims=True)
    return heights


def _rolled(
    grid: Float64[np.ndarray, "n side side"], places: int, axis: int
) -> Float64[np.ndarray, "n side side"]:
    """Return the result of `np.roll`, in a fraction of its time for small grids."""
    return np.concatenate(np.split(grid, [-places % grid.shape[axis]], axis)[::-1], axis)
