"""Noise of sensors and transmission, independent for every value."""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float32
from numpy.random import Generator

from ectool.corruptions.pixels import Generators, Images, drawn, to_levels, to_unit
from ectool.corruptions.severities import Severities

GAUSSIAN_SIGMA = Severities(
    cifar_c=(0.04, 0.06, 0.08, 0.09, 0.10),
    tiny_imagenet_c=(0.04, 0.08, 0.12, 0.15, 0.18),
    imagenet_c=(0.08, 0.12, 0.18, 0.26, 0.38),
)
PHOTONS = Severities(
    cifar_c=(500, 250, 100, 75, 50),
    tiny_imagenet_c=(250, 100, 50, 30, 15),
    imagenet_c=(60, 25, 12, 5, 3),
)
"""Mean count of photons of white."""
IMPULSE_SHARE = Severities(
    cifar_c=(0.01, 0.02, 0.03, 0.05, 0.07),
    tiny_imagenet_c=(0.01, 0.02, 0.05, 0.08, 0.14),
    imagenet_c=(0.03, 0.06, 0.09, 0.17, 0.27),
)
SPECKLE_SIGMA = Severities(
    cifar_c=(0.06, 0.10, 0.12, 0.16, 0.20),
    tiny_imagenet_c=(0.15, 0.20, 0.25, 0.30, 0.35),
    imagenet_c=(0.15, 0.20, 0.35, 0.45, 0.60),
)


def gaussian_noise(images: Images, severity: int, generators: Generators) -> Images:
    """Add noise that does not depend on the image: ``x + sigma * N(0, 1)``."""
    sigma = GAUSSIAN_SIGMA.of(images, severity)
    return to_levels(to_unit(images) + sigma * _normal(images, generators))


def shot_noise(images: Images, severity: int, generators: Generators) -> Images:
    """Add the noise of photon counts: ``Poisson(photons * x) / photons``."""
    photons = PHOTONS.of(images, severity)
    expected = photons * to_unit(images)
    counts = [g.poisson(mean) for g, mean in zip(generators, expected, strict=True)]
    return to_levels(np.stack(counts) / photons)


def impulse_noise(images: Images, severity: int, generators: Generators) -> Images:
    """Replace a share of the values by black or white, with equal probability."""
    share = IMPULSE_SHARE.of(images, severity)
    draws = drawn(generators, partial(Generator.random, size=images.shape[1:], dtype=np.float32))
    noisy = images.copy()
    noisy[draws < share / 2] = 0
    noisy[draws >= 1 - share / 2] = 255
    return noisy


def speckle_noise(images: Images, severity: int, generators: Generators) -> Images:
    """Add noise in proportion to the value: ``x + x * sigma * N(0, 1)``."""
    sigma = SPECKLE_SIGMA.of(images, severity)
    return to_levels(to_unit(images) * (1 + sigma * _normal(images, generators)))


def _normal(images: Images, generators: Generators) -> Float32[np.ndarray, "n 3 h w"]:
    """Return standard normal noise for every value."""
    draw = partial(Generator.standard_normal, size=images.shape[1:], dtype=np.float32)
    return drawn(generators, draw)
