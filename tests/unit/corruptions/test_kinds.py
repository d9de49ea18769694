from __future__ import annotations

import numpy as np
import pytest
from corrupted import corrupted

from ectool.corruptions import (
    BENCHMARK_KINDS,
    CORRUPTIONS,
    HELD_OUT_KINDS,
    SEVERITIES,
    corrupt,
)
from ectool.seeding import stream

COLOURED = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "spatter", "saturate")
"""Kinds that add colour to a grey image."""
NOT_GROWING = {
    "glass_blur": "farther moves alternate with wider blur and more passes",
    "motion_blur": "at 32 px severities 3 and 4 differ in nothing but the length of the tail",
    "fog": "at 224 px severities 3 and 4 have the same density",
    "elastic_transform": "first large moves, then many small ones",
    "spatter": "three severities are water, two mud",
    "saturate": "two severities take colour away, three add it",
}
"""Kinds whose published constants do not grow with every severity, and why."""
CODEC_ERROR = {"jpeg_compression": 2}
"""Levels by which a constant image changes."""
CHANGES_A_CONSTANT = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "snow",
    "fog",
    "brightness",
    "spatter",
    "saturate",
)


def distances(images, kind):
    ids = [str(i) for i in range(len(images))]
    every = [corrupt(images, kind, s, sample_ids=ids, seed=0) for s in SEVERITIES]
    return [np.sqrt(((c.astype(float) - images) ** 2).mean()) for c in every]


def test_the_error_is_that_of_the_kinds_of_the_benchmark():
    assert len(BENCHMARK_KINDS) == 14
    assert {*BENCHMARK_KINDS, *HELD_OUT_KINDS} == CORRUPTIONS.keys()


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("side", [32, 64, 224])
def test_every_kind_changes_the_image_and_is_deterministic(photograph, kind, side):
    image = photograph(side)
    first, second = (corrupted(CORRUPTIONS[kind], image, 5, stream(1, "a", kind)) for _ in range(2))
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert not np.array_equal(first, image)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_constant_images_and_odd_sizes(kind, severity):
    for size in [(1, 1), (2, 3), (33, 20)]:
        for level in (0, 130, 255):
            image = np.full((3, *size), level, np.uint8)
            found = corrupted(CORRUPTIONS[kind], image, severity, np.random.default_rng(0))
            if kind not in CHANGES_A_CONSTANT:
                assert np.abs(found.astype(int) - level).max() <= CODEC_ERROR.get(kind, 0)


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind not in COLOURED])
def test_grey_stays_grey(photograph, kind):
    grey = np.broadcast_to(photograph(32)[1], (3, 32, 32))
    found = corrupted(CORRUPTIONS[kind], grey, 4, np.random.default_rng(0))
    assert np.ptp(found.astype(int), axis=0).max() <= 1


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_neither_batch_nor_order_changes_an_image(photograph, kind):
    image = photograph(32)
    images, ids = np.stack([image, image[:, ::-1], image[:, :, ::-1]]), ["a", "b", "c"]
    together = corrupt(images, kind, 3, sample_ids=ids, seed=5)
    backwards = corrupt(images[::-1], kind, 3, sample_ids=ids[::-1], seed=5)
    alone = corrupt(images[1:2], kind, 3, sample_ids=["b"], seed=5)
    assert np.array_equal(together, backwards[::-1])
    assert np.array_equal(together[1:2], alone)


@pytest.mark.parametrize(
    "kind", ["gaussian_noise", "glass_blur", "motion_blur", "snow", "fog", "elastic_transform"]
)
def test_seed_and_sample_change_what_is_drawn(photograph, kind):
    images = np.stack([photograph(32)] * 2)
    first, second = corrupt(images, kind, 5, sample_ids=["a", "b"], seed=0)
    third = corrupt(images[:1], kind, 5, sample_ids=["a"], seed=1)[0]
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, third)


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if kind not in NOT_GROWING])
@pytest.mark.parametrize("side", [32, 64, 120])
def test_the_distance_to_the_image_grows_with_severity(photograph, kind, side):
    image, copies = photograph(side), 1 if side == 120 else 2
    found = distances(np.stack([image, 255 - image] * copies), kind)
    assert (np.diff(found) > 0).all(), found


@pytest.mark.parametrize("kind", ["glass_blur", "motion_blur", "fog"])
def test_the_distance_grows_from_the_first_to_the_last_severity(photograph, kind):
    found = distances(np.stack([photograph(64), 255 - photograph(64)]), kind)
    assert found[-1] > found[0]


def test_as_many_identifiers_as_images():
    with pytest.raises(ValueError, match="2 images, 1 identifiers"):
        corrupt(np.zeros((2, 3, 8, 8), np.uint8), "fog", 1, sample_ids=["a"], seed=0)
