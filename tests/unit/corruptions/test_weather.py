from __future__ import annotations

import numpy as np
import pytest
from corrupted import corrupted
from skimage.color import hsv2rgb, rgb2hsv

from ectool.corruptions.plasma import plasma
from ectool.corruptions.weather import brightness, fog, snow

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


def test_fog_cannot_be_seen_at_night():
    assert not corrupted(fog, np.zeros((3, 32, 32), np.uint8), 5, np.random.default_rng(0)).any()


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_snow_only_makes_brighter(photograph, severity):
    image = photograph(64)
    snowed = corrupted(snow, image, severity, np.random.default_rng(0))
    assert (snowed >= image).all()
    assert (snowed > image).any()


def test_snow_falls_a_second_time_upside_down():
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
