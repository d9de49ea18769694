from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import gaussian as skimage_gaussian

from ectool.corruptions.filters import (
    correlate,
    disk,
    gaussian,
    mean_of_zooms,
    motion,
    smooth,
    zoom,
)

PLANES = np.random.default_rng(0).random((2, 13, 18), np.float32)


@pytest.mark.parametrize("sigma", [0.05, 0.7, 3.0])
def test_gaussian_is_scikit_images(sigma):
    expected = skimage_gaussian(PLANES, sigma, channel_axis=0)
    np.testing.assert_allclose(gaussian(PLANES, sigma), expected, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.0, 0.96, 6.4, 50.0])
def test_smooth_is_a_gaussian_of_any_width(sigma):
    fields = PLANES.astype(np.float64)
    axes = (0, sigma, sigma)
    expected = ndimage.gaussian_filter(fields, axes, mode="reflect", truncate=3)
    np.testing.assert_allclose(smooth(fields, sigma), expected, atol=1e-12)


@pytest.mark.parametrize(("radius", "sigma"), [(0.3, 0.4), (1.5, 0.1), (8.0, 0.5), (10.0, 0.5)])
def test_a_disk_sums_to_one_and_is_symmetric(radius, sigma):
    kernel = disk(radius, sigma)
    assert kernel.sum() == pytest.approx(1)
    np.testing.assert_allclose(kernel, kernel.T)
    np.testing.assert_allclose(kernel, kernel[::-1])


def test_a_disk_with_a_sharp_edge_contains_the_pixels_within_its_radius():
    kernel = disk(2.0, 0.01)
    inside = np.hypot(*np.mgrid[-3:4, -3:4]) <= 2
    np.testing.assert_allclose(kernel, inside / 13, atol=1e-12)


@pytest.mark.parametrize("radius", [0.5, 4.0, 10.0])
def test_correlate_is_the_sum_over_the_kernel(radius):
    kernel = disk(radius, 0.5)
    expected = ndimage.correlate(PLANES, kernel[None], mode="mirror")
    np.testing.assert_allclose(correlate(PLANES, kernel), expected, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 31.0, -45.0, -135.0])
def test_motion_is_image_magicks_definition(angle):
    radius, sigma = 4, 2.5
    height, width = PLANES.shape[1:]
    weights = [math.exp(-i * i / (2 * sigma**2)) for i in range(2 * radius + 1)]
    expected = np.zeros(PLANES.shape)
    for y, x in np.ndindex(height, width):
        for i, weight in enumerate(weights):
            row = y + math.ceil(i * math.sin(math.radians(angle)) - 0.5)
            column = x + math.ceil(i * math.cos(math.radians(angle)) - 0.5)
            value = PLANES[:, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
            expected[:, y, x] += weight / sum(weights) * value
    np.testing.assert_allclose(motion(PLANES, radius, sigma, angle), expected, atol=1e-6)


@pytest.mark.parametrize("side", [13, 32])
@pytest.mark.parametrize("factor", [1.0, 1.07, 1.3, 2.5])
def test_zoom_is_the_trimmed_zoom_of_the_centre(side, factor):
    planes = np.random.default_rng(1).random((1, side, side), np.float32)
    kept = math.ceil(side / factor)
    first = (side - kept) // 2
    centre = planes[0, first : first + kept, first : first + kept]
    enlarged = ndimage.zoom(centre, factor, order=1)
    trim = (len(enlarged) - side) // 2
    expected = enlarged[trim : trim + side, trim : trim + side]
    np.testing.assert_allclose(zoom(planes, factor)[0], expected, atol=1e-6)


@pytest.mark.parametrize("factors", [(1.0,), (1.0, 1.03, 1.26), (1.31, 2.0)])
def test_the_mean_of_zooms_is_that_of_one_after_another(factors):
    total = PLANES + sum(zoom(PLANES, factor) for factor in factors)
    found = mean_of_zooms(PLANES, factors)
    np.testing.assert_allclose(found, total / (1 + len(factors)), rtol=0, atol=1e-6)
