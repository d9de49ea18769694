from __future__ import annotations

import numpy as np
import pytest
from corrupted import corrupted

from ectool.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise

GREY = np.full((3, 224, 224), 128, np.uint8)
BLACK = np.zeros((3, 32, 32), np.uint8)


def by_loops(image, draws, value):
    """Compute every level of a noisy image on its own."""
    noisy = np.empty_like(image)
    for place in np.ndindex(image.shape):
        changed = value(int(image[place]) / 255, float(draws[place]))
        noisy[place] = round(255 * min(max(changed, 0.0), 1.0))
    return noisy


def test_gaussian_noise_is_its_formula(photograph):
    image = photograph(9, 7)
    draws = np.random.default_rng(5).standard_normal(image.shape, dtype=np.float32)
    expected = by_loops(image, draws, lambda x, draw: x + 0.10 * draw)
    assert np.array_equal(corrupted(gaussian_noise, image, 5, np.random.default_rng(5)), expected)


def test_speckle_noise_is_its_formula(photograph):
    image = photograph(9, 7)
    draws = np.random.default_rng(5).standard_normal(image.shape, dtype=np.float32)
    expected = by_loops(image, draws, lambda x, draw: x + x * 0.20 * draw)
    assert np.array_equal(corrupted(speckle_noise, image, 5, np.random.default_rng(5)), expected)


@pytest.mark.parametrize(("severity", "photons"), [(1, 60), (2, 25)])
def test_shot_noise_has_the_mean_and_variance_of_counts(severity, photons):
    noisy = corrupted(shot_noise, GREY, severity, np.random.default_rng(0)) / 255
    assert noisy.mean() == pytest.approx(128 / 255, rel=0.01)
    assert noisy.var() == pytest.approx(128 / 255 / photons, rel=0.03)


@pytest.mark.parametrize("noise", [shot_noise, speckle_noise])
def test_black_has_no_noise_that_grows_with_light(noise):
    assert not corrupted(noise, BLACK, 5, np.random.default_rng(0)).any()


@pytest.mark.parametrize(("severity", "share"), [(1, 0.03), (5, 0.27)])
def test_impulses_are_black_and_white_and_the_rest_is_unchanged(severity, share):
    noisy = corrupted(impulse_noise, GREY, severity, np.random.default_rng(0))
    assert (noisy == 0).mean() == pytest.approx(share / 2, rel=0.05)
    assert (noisy == 255).mean() == pytest.approx(share / 2, rel=0.05)
    assert set(np.unique(noisy).tolist()) == {0, 128, 255}


def test_impulses_of_a_severity_are_among_those_of_the_next():
    weak, strong = (corrupted(impulse_noise, GREY, s, np.random.default_rng(0)) for s in (2, 3))
    hit = weak != GREY
    assert np.array_equal(strong[hit], weak[hit])
