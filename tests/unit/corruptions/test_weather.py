from __future__ import annotations

import numpy as np
import pytest
from corrupted import corrupted
from skimage.color import hsv2rgb, rgb2hsv

from ectool.corruptions.weather import brightness, fog, plasma, snow

ANY = np.random.default_rng(0)


@pytest.mark.parametrize(("severity", "light"), [(1, 0.05), (5, 0.3)])
def test_brightness_raises_the_value_of_hsv(photograph, severity, light):
    image = photograph(32).copy()
    image[:, 0] = 0
    hsv = rgb2hsv(image / 255, channel_axis=0)
    hsv[2] = np.clip(hsv[2] + light, 0, 1)
    expected = 255 * hsv2rgb(hsv, channel_axis=0)
    assert np.abs(corrupted(brightness, image, severity, ANY) - expected).max() < 0.51


@pytest.mark.parametrize(("height", "width", "side"), [(32, 32, 32), (20, 33, 64)])
def test_fog_is_its_formula(photograph, height, width, side):
    image = photograph(height, width) / 255
    cloud = plasma(side, 1.75, [np.random.default_rng(3)])[0, :height, :width]
    expected = 255 * np.clip((image + 1.5 * cloud) * image.max() / (image.max() + 1.5), 0, 1)
    fogged = corrupted(fog, photograph(height, width), 5, np.random.default_rng(3))
    assert np.abs(fogged - expected).max() < 0.51


def test_fog_does_not_change_a_black_image():
    assert not corrupted(fog, np.zeros((3, 32, 32), np.uint8), 5, np.random.default_rng(0)).any()


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_snow_only_makes_brighter(photograph, severity):
    image = photograph(64)
    snowed = corrupted(snow, image, severity, np.random.default_rng(0))
    assert (snowed >= image).all()
    assert (snowed > image).any()


def test_snow_is_added_a_second_time_rotated():
    grey = np.full((3, 64, 64), 40, np.uint8)
    snowed = corrupted(snow, grey, 4, np.random.default_rng(0))
    assert np.array_equal(snowed, snowed[:, ::-1, ::-1])
    assert len(np.unique(snowed)) > 20


def test_where_no_flake_falls_the_image_is_whitened_towards_its_grey():
    """Severity 1 of 32 px: ``0.95 * x + 0.05 * max(x, 1.5 * grey + 0.5)``."""
    colour = np.array([200, 40, 10]) / 255
    image = np.broadcast_to(np.uint8([200, 40, 10])[:, None, None], (3, 32, 32)).copy()
    grey = np.dot([0.299, 0.587, 0.114], colour)
    expected = 255 * (0.95 * colour + 0.05 * np.maximum(colour, 1.5 * grey + 0.5))
    darkest = corrupted(snow, image, 1, np.random.default_rng(0)).min(axis=(1, 2))
    assert darkest == pytest.approx(expected, abs=0.51)


def by_points(side, decay, generator):
    """Compute diamond-square on a torus, point by point."""
    heights = np.zeros((side, side))
    step, amplitude = side, 1.0
    while step > 1:
        half, count = step // 2, side // step
        noise = generator.uniform(-amplitude, amplitude, (3, count, count))
        corner, edge = [(-half, -half), (-half, half), (half, -half), (half, half)], []
        edge = [(-half, 0), (half, 0), (0, -half), (0, half)]
        for kind, (down, right), around in [
            (0, (half, half), corner),
            (1, (0, half), edge),
            (2, (half, 0), edge),
        ]:
            for i, j in np.ndindex(count, count):
                y, x = i * step + down, j * step + right
                four = [heights[(y + dy) % side, (x + dx) % side] for dy, dx in around]
                heights[y, x] = sum(four) / 4 + noise[kind, i, j]
        step, amplitude = half, amplitude / decay**2
    return (heights - heights.min()) / (heights.max() - heights.min())


@pytest.mark.parametrize(("side", "decay"), [(2, 2.0), (16, 1.5), (32, 3.0)])
def test_plasma_is_diamond_square(side, decay):
    found = plasma(side, decay, [np.random.default_rng(seed) for seed in (7, 8)])
    expected = [by_points(side, decay, np.random.default_rng(seed)) for seed in (7, 8)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_heights_are_zero_to_one_and_a_larger_decay_is_smoother():
    rough, soft = (plasma(64, decay, [np.random.default_rng(0)])[0] for decay in (1.4, 3.0))
    assert (rough.min(), rough.max(), soft.min(), soft.max()) == (0, 1, 0, 1)
    assert np.abs(np.diff(rough)).mean() > 2 * np.abs(np.diff(soft)).mean()
