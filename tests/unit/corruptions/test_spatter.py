"""Oracles are OpenCV's functions, with which the authors' program is written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from corrupted import corrupted

from ectool.corruptions.edges import canny
from ectool.corruptions.filters import gaussian
from ectool.corruptions.spatter import SPATTER, spatter

WATER = np.float32([175, 238, 238]) / 255
MUD = np.float32([63, 42, 20]) / 255


def liquid_of(image, severity, seed):
    """Return the liquid before its threshold, and the constants."""
    mean, deviation, sigma, *others = SPATTER.of(image[None], severity)
    draws = np.random.default_rng(seed).standard_normal(image.shape[1:], dtype=np.float32)
    return gaussian(mean + deviation * draws, sigma), others


def shine_by_opencv(liquid, threshold, accuracy):
    drops = (np.where(liquid < threshold, 0, liquid) * 255).astype(np.uint8)
    distance = cv2.distanceTransform(255 - cv2.Canny(drops, 50, 150), cv2.DIST_L2, accuracy)
    depth = cv2.equalizeHist(cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8))
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    lit = cv2.blur(cv2.filter2D(depth, cv2.CV_8U, kernel), (3, 3)).astype(np.float32)
    return drops * lit / (drops * lit).max()


def splashed(image, severity, seed, accuracy):
    """Return the image as the authors make it, in levels that are not rounded."""
    liquid, (threshold, last, is_mud) = liquid_of(image, severity, seed)
    image = image.transpose(1, 2, 0) / np.float32(255)
    if is_mud:
        cover = gaussian((liquid > threshold).astype(np.float32), last)
        cover = np.where(cover < 0.8, 0, cover)[..., None]
        wet = image * (1 - cover) + cover * MUD
    else:
        wet = image + last * shine_by_opencv(liquid, threshold, accuracy)[..., None] * WATER
    return 255 * np.clip(wet, 0, 1).transpose(2, 0, 1)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [(32, 32), (64, 64), (224, 224), (33, 50)])
@pytest.mark.parametrize("seed", [0, 1])
def test_spatter_is_its_definition_with_exact_distances(photograph, severity, size, seed):
    image = photograph(*size)
    expected = splashed(image, severity, seed, cv2.DIST_MASK_PRECISE)
    found = corrupted(spatter, image, severity, np.random.default_rng(seed))
    off = np.abs(found - expected) > 0.51
    assert off.mean() < 0.002, (off.mean(), np.abs(found - expected).max())


@pytest.mark.parametrize("severity", [1, 2, 3])
def test_the_authors_distances_hardly_change_it(photograph, severity):
    image = photograph(224)
    published = splashed(image, severity, 0, cv2.DIST_MASK_5)
    found = corrupted(spatter, image, severity, np.random.default_rng(0))
    change = np.abs(published - image).mean()
    assert np.abs(found - published).mean() < 0.1 * change


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0])
def test_edges_are_opencvs(seed, sigma):
    noise = np.random.default_rng(seed).random((61, 84)).astype(np.float32)
    smooth = gaussian(noise, sigma) if sigma else noise
    grey = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    assert np.array_equal(canny(grey, 50, 150), cv2.Canny(grey, 50, 150) > 0)


def test_edges_of_a_photograph_are_opencvs(photograph):
    grey = np.ascontiguousarray(photograph(224)[1])
    found = canny(grey, 50, 150)
    assert np.array_equal(found, cv2.Canny(grey, 50, 150) > 0)
    assert found.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_a_flat_image_has_no_edge(size):
    assert not canny(np.full(size, 200, np.uint8), 50, 150).any()


@pytest.mark.parametrize("severity", [1, 4])
def test_a_clean_lens_leaves_the_image_unchanged(photograph, severity):
    image = photograph(4)
    liquids = ((seed, *liquid_of(image, severity, seed)) for seed in range(50))
    dry = next(seed for seed, liquid, (threshold, *_) in liquids if liquid.max() < threshold)
    found = corrupted(spatter, image, severity, np.random.default_rng(dry))
    assert np.array_equal(found, image)
