"""Digital corruptions: contrast, saturation, elastic transform, pixelation, JPEG compression."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO

import numpy as np
import PIL.Image
from jaxtyping import Float32, Float64
from numpy.random import Generator
from scipy import ndimage

from ectool.corruptions.filters import smooth
from ectool.corruptions.pixels import Generators, Images, drawn, to_levels, to_unit
from ectool.corruptions.severities import Severities

CONTRAST = Severities(
    cifar_c=(0.75, 0.5, 0.4, 0.3, 0.15),
    tiny_imagenet_c=(0.4, 0.3, 0.2, 0.1, 0.05),
    imagenet_c=(0.4, 0.3, 0.2, 0.1, 0.05),
)
SATURATION = Severities(
    cifar_c=((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
    tiny_imagenet_c=((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
    imagenet_c=((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
)
"""Factor and offset: the first two severities reduce saturation, the others increase it."""
ELASTIC = Severities(
    cifar_c=(
        (0.0, 0.0, 2.56),
        (1.6, 6.4, 2.24),
        (2.56, 1.92, 1.92),
        (3.2, 1.28, 1.6),
        (3.2, 0.96, 0.96),
    ),
    tiny_imagenet_c=(
        (0.0, 0.0, 5.12),
        (3.2, 19.2, 3.84),
        (6.4, 5.12, 3.84),
        (6.4, 1.92, 1.92),
        (10.24, 1.92, 1.28),
    ),
    imagenet_c=(
        (488.0, 170.8, 24.4),
        (488.0, 19.52, 48.8),
        (12.2, 2.44, 4.88),
        (17.08, 2.44, 4.88),
        (29.28, 2.44, 4.88),
    ),
)
"""Strength and sigma of the displacement, jitter of the affine map, all in pixels."""
PIXELATE = Severities(
    cifar_c=(0.95, 0.9, 0.85, 0.75, 0.65),
    tiny_imagenet_c=(0.9, 0.8, 0.7, 0.6, 0.5),
    imagenet_c=(0.6, 0.5, 0.4, 0.3, 0.25),
)
JPEG_QUALITY = Severities(
    cifar_c=(80, 65, 58, 50, 40),
    tiny_imagenet_c=(65, 58, 50, 40, 25),
    imagenet_c=(25, 18, 15, 10, 7),
)

Field = Float64[np.ndarray, "2 h w"]


def contrast(images: Images, severity: int, _: Generators) -> Images:
    """Reduce the distance of every channel from its mean: ``mean + factor * (x - mean)``."""
    planes = to_unit(images)
    mean = planes.mean(axis=(2, 3), keepdims=True)
    return to_levels(mean + CONTRAST.of(images, severity) * (planes - mean))


def saturate(images: Images, severity: int, _: Generators) -> Images:
    """Change the saturation of HSV to ``clip(factor * saturation + offset, 0, 1)``.

    ``x = value * (1 - saturation * depth)``, where ``depth`` depends on channel and hue. Grey has
    the hue of red, so an offset above 0 makes it reddish, as in the authors' program.
    """
    factor, offset = SATURATION.of(images, severity)
    planes = to_unit(images)
    value = planes.max(axis=1, keepdims=True)
    chroma = value - planes.min(axis=1, keepdims=True)
    grey = chroma == 0
    red = np.array([0, 1, 1], np.float32)[None, :, None, None]
    depth = np.where(grey, red, (value - planes) / np.where(grey, 1, chroma))
    saturation = chroma / np.where(value == 0, 1, value)
    return to_levels(value * (1 - np.clip(factor * saturation + offset, 0, 1) * depth))


def elastic_transform(images: Images, severity: int, generators: Generators) -> Images:
    """Stretch the image: a random affine map and a smooth random displacement.

    Both are applied in one bilinear interpolation (the authors interpolate twice), with the border
    mirrored about its pixels. The affine map moves three points, two thirds of the shorter side of
    the image apart, each by a random distance within the jitter.
    """
    strength, sigma, jitter = ELASTIC.of(images, severity)
    generators, size = list(generators), images.shape[2:]
    uniform = drawn(generators, partial(Generator.uniform, low=-1, high=1, size=(2, *size)))
    places = np.indices(size) + strength * smooth(uniform, sigma)
    stretched = [
        _interpolated(planes, _affine(at, jitter, generator))
        for planes, at, generator in zip(to_unit(images), places, generators, strict=True)
    ]
    return to_levels(np.stack(stretched))


def pixelate(images: Images, severity: int, _: Generators) -> Images:
    """Downsample the image and upsample it again, both with a box filter."""
    share = PIXELATE.of(images, severity)
    height, width = images.shape[2:]
    small = max(1, int(width * share)), max(1, int(height * share))
    box = PIL.Image.Resampling.BOX
    return _each(images, lambda image: image.resize(small, box).resize((width, height), box))


def jpeg_compression(images: Images, severity: int, _: Generators) -> Images:
    """Compress the image as JPEG; the exact result depends on the installed libjpeg."""
    quality = JPEG_QUALITY.of(images, severity)

    def compressed(image: PIL.Image.Image) -> PIL.Image.Image:
        buffer = BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return PIL.Image.open(buffer)

    return _each(images, compressed)


def _affine(places: Field, jitter: float, generator: Generator) -> Field:
    """Return the source (row, column) of each place under the affine map."""
    height, width = places.shape[1:]
    centre = np.array([height // 2, width // 2])
    third = min(height, width) // 3
    before = centre + third * np.array([[1, 1], [1, -1], [-1, -1]])
    after = before + generator.uniform(-jitter, jitter, (3, 2))
    back = np.linalg.solve(np.column_stack([after, np.ones(3)]), before)
    by_row, by_column, offset = back[:, :, None, None]
    return np.asarray(by_row * places[0] + by_column * places[1] + offset)


def _interpolated(
    planes: Float32[np.ndarray, "3 h w"], places: Field
) -> Float32[np.ndarray, "3 h w"]:
    """Interpolate between pixels, bilinearly."""
    return np.stack([ndimage.map_coordinates(p, places, order=1, mode="mirror") for p in planes])


def _each(images: Images, change: Callable[[PIL.Image.Image], PIL.Image.Image]) -> Images:
    """Apply a function of Pillow images to each image."""
    pillow = [PIL.Image.fromarray(image) for image in images.transpose(0, 2, 3, 1)]
    changed = [np.asarray(change(image)) for image in pillow]
    return np.ascontiguousarray(np.stack(changed).transpose(0, 3, 1, 2))
