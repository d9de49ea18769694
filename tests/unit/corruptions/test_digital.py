from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from corrupted import corrupted
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv

from ectool.corruptions.digital import (
    contrast,
    elastic_transform,
    jpeg_compression,
    pixelate,
    saturate,
)

ANY = np.random.default_rng(0)


def test_contrast_shrinks_the_distance_to_each_channels_mean(photograph):
    image = photograph(32).astype(np.float64)
    mean = image.mean(axis=(1, 2), keepdims=True)
    expected = mean + 0.15 * (image - mean)
    assert np.abs(corrupted(contrast, photograph(32), 5, ANY) - expected).max() < 0.51


@pytest.mark.parametrize(
    ("severity", "factor", "offset"), [(1, 0.3, 0), (3, 1.5, 0), (4, 2, 0.1), (5, 2.5, 0.2)]
)
def test_saturate_changes_the_saturation_of_hsv(photograph, severity, factor, offset):
    image = photograph(32).copy()
    image[:, 0], image[:, 1] = 0, 90
    hsv = rgb2hsv(image / 255, channel_axis=0)
    hsv[1] = np.clip(factor * hsv[1] + offset, 0, 1)
    expected = 255 * hsv2rgb(hsv, channel_axis=0)
    assert np.abs(corrupted(saturate, image, severity, ANY) - expected).max() < 0.51


def mirrored(index, length):
    """Fold an index back about the first and last pixel."""
    index %= 2 * (length - 1)
    return min(index, 2 * (length - 1) - index)


def bilinear(plane, row, column):
    """Interpolate between the four pixels around a place."""
    top, left = int(np.floor(row)), int(np.floor(column))
    value = 0.0
    for y, x in [(top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)]:
        weight = (1 - abs(row - y)) * (1 - abs(column - x))
        value += weight * plane[mirrored(y, plane.shape[0]), mirrored(x, plane.shape[1])]
    return value


@pytest.mark.parametrize(
    ("severity", "strength", "sigma", "jitter"), [(1, 0, 1e-9, 2.56), (3, 2.56, 1.92, 1.92)]
)
def test_elastic_transform_is_an_affine_map_and_a_displacement(
    photograph, severity, strength, sigma, jitter
):
    image = photograph(17, 20)
    generator = np.random.default_rng(2)
    uniform = generator.uniform(-1, 1, (2, 17, 20))
    smooth = ndimage.gaussian_filter(uniform, (0, sigma, sigma), mode="reflect", truncate=3)
    triangle = np.array([[13, 15], [13, 5], [3, 5]])
    moved = triangle + generator.uniform(-jitter, jitter, (3, 2))
    expected = np.empty(image.shape)
    for row, column in np.ndindex(17, 20):
        at = np.array([row, column]) + strength * smooth[:, row, column]
        shares = np.linalg.solve(np.vstack([moved.T, np.ones(3)]), [*at, 1])
        for channel in range(3):
            expected[channel, row, column] = bilinear(image[channel], *(shares @ triangle))
    stretched = corrupted(elastic_transform, image, severity, np.random.default_rng(2))
    assert np.abs(stretched - expected).max() < 0.51


def test_pixelate_at_half_the_size_shows_means_of_four(photograph):
    image = photograph(64)
    means = image.reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
    boxes = means.repeat(2, axis=1).repeat(2, axis=2)
    assert np.abs(corrupted(pixelate, image, 5, ANY) - boxes).max() <= 1


@pytest.mark.parametrize(("side", "quality"), [(32, 40), (64, 25), (120, 7)])
def test_jpeg_compression_is_pils(photograph, side, quality):
    buffer = BytesIO()
    image = PIL.Image.fromarray(photograph(side).transpose(1, 2, 0).copy())
    image.save(buffer, "JPEG", quality=quality)
    expected = np.asarray(PIL.Image.open(buffer)).transpose(2, 0, 1)
    assert np.array_equal(corrupted(jpeg_compression, photograph(side), 5, ANY), expected)
