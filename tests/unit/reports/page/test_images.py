from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ectool.reports.page.images import (
    GREY,
    MAX_SIDE,
    OPACITY,
    amplification,
    data_uri,
    difference,
    overlay,
    palette,
    tiles,
)


def decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(";base64,")
    assert head.startswith("data:image/")
    return Image.open(io.BytesIO(base64.b64decode(body)))


def test_difference_is_centred_and_amplified():
    image = np.full((3, 2, 2), 100, np.uint8)
    perturbed = image.copy()
    perturbed[0, 0, 0], perturbed[1, 1, 1] = 102, 99
    shown = difference(image, perturbed, 40)
    assert shown.shape == (2, 2, 3)
    assert shown[0, 0].tolist() == [GREY + 80, GREY, GREY]
    assert shown[1, 1].tolist() == [GREY, GREY - 40, GREY]
    assert shown[0, 1].tolist() == [GREY] * 3


def test_difference_of_a_wrap_around_is_clipped_not_wrapped():
    image, perturbed = np.zeros((3, 1, 1), np.uint8), np.full((3, 1, 1), 255, np.uint8)
    assert difference(image, perturbed, 1).max() == 255
    assert difference(perturbed, image, 1).min() == 0


@pytest.mark.parametrize(("change", "factor"), [(2, 63), (1, 127), (0, 127), (5, 25)])
def test_amplification_clips_nothing(make_sample, change, factor):
    sample = make_sample()
    moved = make_sample(seed=1, image=sample.image, perturbed=sample.image + np.uint8(change))
    assert amplification([moved]) == factor


def test_amplification_of_large_changes(make_sample):
    black = np.zeros((3, 4, 4), np.uint8)
    assert amplification([make_sample(image=black, perturbed=black + np.uint8(200))]) == 1


def test_overlay_mixes_colour_and_grey():
    image = np.full((3, 2, 2), 90, np.uint8)
    shown = overlay(image, np.full((1, 1), 3.0, np.float32), 6.0)
    middle = palette()[round(0.5 * 255)]
    assert shown[0, 0].tolist() == np.rint(OPACITY * middle + (1 - OPACITY) * 90).tolist()


def test_overlay_of_dead_heatmaps_has_the_first_colour():
    shown = overlay(np.zeros((3, 2, 2), np.uint8), np.zeros((1, 1), np.float32), 0.0)
    assert shown[1, 1].tolist() == np.rint(OPACITY * palette()[0]).tolist()


def test_both_heatmaps_share_one_scale(make_sample):
    grey = np.full((3, 8, 8), 50, np.uint8)
    low, high = np.full((2, 2), 1.0, np.float32), np.full((2, 2), 4.0, np.float32)
    sample = make_sample(image=grey, perturbed=grey, clean=low, adversarial=high)
    clean, adversarial = list(tiles(sample, 1).values())[3:]
    assert (clean == overlay(grey, low, 4.0)).all()
    assert (adversarial == overlay(grey, high, 4.0)).all()
    assert sample.scale == 4.0


def test_small_images_are_stored_exactly():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 20, 3), dtype=np.uint8)
    image = decoded(data_uri(pixels))
    assert image.format == "PNG"
    assert (np.asarray(image) == pixels).all()


def test_large_images_are_reduced():
    pixels = np.random.default_rng(0).integers(0, 256, (224, 448, 3), dtype=np.uint8)
    uri = data_uri(pixels)
    assert decoded(uri).size == (MAX_SIDE, MAX_SIDE // 2)
    assert len(uri) < 20_000
