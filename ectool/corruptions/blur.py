"""Blur by lens, glass, motion and zoom."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Integer
from numpy.random import Generator

from ectool.corruptions.filters import correlate, disk, gaussian, mean_of_zooms, motion
from ectool.corruptions.pixels import Generators, Images, to_levels, to_unit
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
"""Sigma, max displacement in pixels, passes."""
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
"""End and step of the factors, which start at 1."""
GAUSSIAN_SIGMA = Severities(
    cifar_c=(0.4, 0.6, 0.7, 0.8, 1.0),
    tiny_imagenet_c=(0.5, 0.75, 1.0, 1.25, 1.5),
    imagenet_c=(1.0, 2.0, 3.0, 4.0, 6.0),
)


def defocus_blur(images: Images, severity: int, _: Generators) -> Images:
    """Average over a disk.

    The authors' disks of 8 and 10 px touch the border of their kernels, so that after smoothing
    they sum to 1.01; here they sum to 1.
    """
    return to_levels(correlate(to_unit(images), disk(*DEFOCUS.of(images, severity))))


def glass_blur(images: Images, severity: int, generators: Generators) -> Images:
    """Simulate frosted glass: Gaussian, local displacement of pixels, Gaussian.

    A pass goes through the pixels from the last to the first and gives each the value of one at
    most ``reach`` away. In the paper both are exchanged. The authors' program copies (it exchanges
    two views of one array), which the published images show, and so does this function.
    """
    sigma, reach, passes = GLASS.of(images, severity)
    planes = gaussian(to_unit(images), sigma)
    generators = list(generators)
    for _ in range(passes):
        sources = _sources(images.shape[2:], reach, generators)[:, None]
        planes = np.take_along_axis(planes.reshape(len(planes), 3, -1), sources, axis=2)
        planes = planes.reshape(images.shape)
    return to_levels(gaussian(planes, sigma))


def motion_blur(images: Images, severity: int, generators: Generators) -> Images:
    """Blur along a random direction, at most 45 degrees from the horizontal."""
    radius, sigma = MOTION.of(images, severity)
    blurred = [
        motion(planes, radius, sigma, generator.uniform(-45, 45))
        for planes, generator in zip(to_unit(images), generators, strict=True)
    ]
    return to_levels(np.stack(blurred))


def zoom_blur(images: Images, severity: int, _: Generators) -> Images:
    """Average the image and its zooms: ``(x + sum_f zoom(x, f)) / (1 + number of f)``."""
    end, step = ZOOM.of(images, severity)
    factors = tuple(np.arange(1, end, step).tolist())
    return to_levels(np.stack([mean_of_zooms(planes, factors) for planes in to_unit(images)]))


def gaussian_blur(images: Images, severity: int, _: Generators) -> Images:
    """Blur with a Gaussian."""
    return to_levels(gaussian(to_unit(images), GAUSSIAN_SIGMA.of(images, severity)))


def _sources(
    size: tuple[int, ...], reach: int, generators: Sequence[Generator]
) -> Integer[np.ndarray, "n pixels"]:
    """Return for every pixel the index from which one pass of glass blur takes its value.

    The value that a pixel copies may have been written earlier in the pass. Such chains are
    followed for all pixels at once; each round doubles the distance.
    """
    height, width = size
    inner = (2, max(0, height - 2 * reach), max(0, width - 2 * reach))
    moves = np.stack([generator.integers(-reach, reach, size=inner) for generator in generators])
    here = np.arange(len(generators) * height * width).reshape(-1, height, width)
    inside = np.index_exp[:, reach + 1 : height - reach + 1, reach + 1 : width - reach + 1]
    places, are_moved = here.copy(), np.zeros(here.shape, np.bool_)
    places[inside] += moves[:, 0] * width + moves[:, 1]
    are_moved[inside] = True
    source = places.ravel()
    is_rewritten = are_moved.ravel()[source] & (source > here.ravel())
    open_ends = np.flatnonzero(is_rewritten)
    while open_ends.size:
        via = source[open_ends]
        source[open_ends], is_rewritten[open_ends] = source[via], is_rewritten[via]
        open_ends = open_ends[is_rewritten[open_ends]]
    return source.reshape(len(generators), -1) - here[:, :1, 0]
