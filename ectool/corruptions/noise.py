"""Noise of sensors and transmission: every value is disturbed on its own."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from ectool.corruptions.pixels import Image, to_levels, to_unit
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
"""Mean count that white stands for."""
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


def gaussian_noise(image: Image, severity: int, generator: Generator) -> Image:
    """Add noise that does not depend on the picture: ``x + sigma * N(0, 1)``."""
    sigma = GAUSSIAN_SIGMA.of(image, severity)
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    return to_levels(to_unit(image) + sigma * noise)


def shot_noise(image: Image, severity: int, generator: Generator) -> Image:
    """Count photons: ``Poisson(photons * x) / photons``."""
    photons = PHOTONS.of(image, severity)
    return to_levels(generator.poisson(photons * to_unit(image)) / photons)


def impulse_noise(image: Image, severity: int, generator: Generator) -> Image:
    """Replace a share of the values by black or white, one as likely as the other."""
    share = IMPULSE_SHARE.of(image, severity)
    draws = generator.random(image.shape, dtype=np.float32)
    noisy = image.copy()
    noisy[draws < share / 2] = 0
    noisy[draws >= 1 - share / 2] = 255
    return noisy


def speckle_noise(image: Image, severity: int, generator: Generator) -> Image:
    """Add noise in proportion to the value: ``x + x * sigma * N(0, 1)``."""
    sigma = SPECKLE_SIGMA.of(image, severity)
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    return to_levels(to_unit(image) * (1 + sigma * noise))
