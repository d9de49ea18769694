"""Snow, fog and bright light. Frost is left out, as it needs photographs of frost."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float32
from numpy.random import Generator

from ectool.corruptions.filters import motion, zoom
from ectool.corruptions.pixels import Generators, Images, Planes, drawn, to_levels, to_unit
from ectool.corruptions.plasma import plasma
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
    """Let it snow: ``clarity * x + (1 - clarity) * max(x, 1.5 * grey + 0.5) + snow + turned snow``.

    The snow is normal noise, zoomed, cut off below a threshold and blurred in the direction of its
    fall; it is added a second time, turned by 180 degrees.
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
