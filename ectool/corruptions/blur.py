"""Blur of lens, glass and movement."""

from __future__ import annotations

import numpy as np
from jaxtyping import Integer
from numpy.random import Generator

from ectool.corruptions.filters import correlate, disk, gaussian, mean_of_zooms, motion
from ectool.corruptions.pixels import Image, to_levels, to_unit
from ectool.corruptions.severities import Severities

DEFOCUS = Severities(
    cifar_c=((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    tiny_imagenet_c=((0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)),
    imagenet_c=((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
)
"""Radius of the disk, sigma of its edge."""
GLASS = Severities(
    cifar_c=((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
    tiny_imagenet_c=((0.1, 1, 1), (0.5, 1, 1), (0.6, 1, 2), (0.7, 2, 1), (0.9, 2, 2)),
    imagenet_c=((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
)
"""Sigma, reach of a move, passes."""
MOTION = Severities(
    cifar_c=((6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)),
    tiny_imagenet_c=((10, 1.0), (10, 1.5), (10, 2.0), (10, 2.5), (12, 3.0)),
    imagenet_c=((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)),
)
"""Radius, sigma."""
_SMALL_ZOOM = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))
ZOOM = Severities(
    cifar_c=_SMALL_ZOOM,
    tiny_imagenet_c=_SMALL_ZOOM,
    imagenet_c=((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
)
"""End and step of the factors, which begin at 1."""
GAUSSIAN_SIGMA = Severities(
    cifar_c=(0.4, 0.6, 0.7, 0.8, 1.0),
    tiny_imagenet_c=(0.5, 0.75, 1.0, 1.25, 1.5),
    imagenet_c=(1.0, 2.0, 3.0, 4.0, 6.0),
)


def defocus_blur(image: Image, severity: int, _: Generator) -> Image:
    """Average over a disk.

    The authors' disks of 8 and 10 px touch the border of their kernels, where smoothing makes them
    sum to 1.01; ours sum to 1.
    """
    return to_levels(correlate(to_unit(image), disk(*DEFOCUS.of(image, severity))))


def glass_blur(image: Image, severity: int, generator: Generator) -> Image:
    """Look through frosted glass: Gaussian, pixels moved about, Gaussian.

    A pass goes through the pixels from the last to the first and gives each the value of one at
    most ``reach`` away. The paper says that both are exchanged; the authors' program copies (it
    exchanges two views of one array), and so do we, as the published pictures show that.
    """
    sigma, reach, passes = GLASS.of(image, severity)
    planes = gaussian(to_unit(image), sigma)
    for _ in range(passes):
        sources = _scrambled(image.shape[1], image.shape[2], reach, generator)
        planes = np.take(planes.reshape(3, -1), sources, axis=1).reshape(image.shape)
    return to_levels(gaussian(planes, sigma))


def motion_blur(image: Image, severity: int, generator: Generator) -> Image:
    """Move the camera in a random direction, at most 45 degrees from the horizontal."""
    radius, sigma = MOTION.of(image, severity)
    return to_levels(motion(to_unit(image), radius, sigma, generator.uniform(-45, 45)))


def zoom_blur(image: Image, severity: int, _: Generator) -> Image:
    """Average the picture and its zooms: ``(x + sum_f zoom(x, f)) / (1 + number of f)``."""
    end, step = ZOOM.of(image, severity)
    factors = tuple(np.arange(1, end, step).tolist())
    return to_levels(mean_of_zooms(to_unit(image), factors))


def gaussian_blur(image: Image, severity: int, _: Generator) -> Image:
    """Blur with a Gaussian."""
    return to_levels(gaussian(to_unit(image), GAUSSIAN_SIGMA.of(image, severity)))


def _scrambled(
    height: int, width: int, reach: int, generator: Generator
) -> Integer[np.ndarray, "pixels"]:
    """Return of every pixel where its value was before a pass of the glass.

    What a pixel copies may have been written earlier in the pass. Such chains are followed for
    all pixels at once, each round twice as far as the one before.
    """
    rows = np.arange(reach + 1, height - reach + 1)[:, None]
    columns = np.arange(reach + 1, width - reach + 1)
    moves = generator.integers(-reach, reach, size=(2, rows.size, columns.size))
    moved = rows * width + columns
    source = np.arange(height * width)
    source[moved] = (rows + moves[0]) * width + columns + moves[1]
    is_moved = np.zeros(height * width, np.bool_)
    is_moved[moved] = True
    is_rewritten = is_moved[source] & (source > np.arange(height * width))
    open_ends = np.flatnonzero(is_rewritten)
    while open_ends.size:
        via = source[open_ends]
        source[open_ends], is_rewritten[open_ends] = source[via], is_rewritten[via]
        open_ends = open_ends[is_rewritten[open_ends]]
    return source
