"""Crops, flips and RandAugment against torchvision, and whom the draws belong to."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.autoaugment import RandAugment, _apply_op
from torchvision.transforms.functional import InterpolationMode

from ectool.training.augmentation import BINS, OPERATIONS, Augmentation, random_box

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 24), np.uint8)
IDS = [f"s{row}" for row in range(6)]


def augmentation(**given):
    return Augmentation(**{"crop_scale": 0.1, "flip": True, "magnitude": 9, "seed": 0, **given})


@pytest.mark.parametrize("name", list(OPERATIONS))
@pytest.mark.parametrize("magnitude", [0, 9, 30])
@pytest.mark.parametrize("sign", [1, -1])
def test_operations_are_torchvisions(name, magnitude, sign):
    image = torch.from_numpy(IMAGES[0])
    strengths, signed = RandAugment()._augmentation_space(BINS, image.shape[1:])[name]
    strength = float(strengths[magnitude].item()) if strengths.ndim else 0.0
    strength *= sign if signed else 1
    expected = _apply_op(image, name, strength, InterpolationMode.NEAREST, [0.0, 0.0, 0.0])
    found = OPERATIONS[name](image, magnitude / (BINS - 1), sign)
    assert (found.int() - expected.int()).abs().max() <= 1
    assert found.dtype == torch.uint8


@pytest.mark.parametrize(("width", "height"), [(40, 30), (30, 40), (200, 10), (3, 50), (1, 1)])
@pytest.mark.parametrize("min_scale", [0.08, 1.0])
def test_boxes_lie_inside_and_have_the_requested_area_and_ratio(width, height, min_scale):
    draws = np.random.default_rng(0)
    for _ in range(100):
        left, top, right, bottom = random_box(draws, width, height, min_scale)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_boxes_are_spread_as_torchvisions():
    draws, image = np.random.default_rng(0), torch.empty(3, 300, 400)
    ours = np.array([random_box(draws, 400, 300, 0.08) for _ in range(4000)])
    torch.manual_seed(0)
    peers = [RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    top, left, height, width = np.array(peers).T
    theirs = np.stack([left, top, left + width, top + height], axis=1)
    for q in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(
            np.quantile(ours, q, axis=0), np.quantile(theirs, q, axis=0), atol=8
        )


def test_a_crop_that_never_fits_is_the_centre():
    assert random_box(np.random.default_rng(0), 400, 10, 1.0) == (193, 0, 206, 10)


def test_draws_belong_to_sample_epoch_and_seed():
    def altered(rows, epoch=0, seed=0):
        ids = [IDS[row] for row in rows]
        return augmentation(seed=seed).alter(IMAGES[rows], ids, epoch)

    everything = altered(list(range(6)))
    np.testing.assert_array_equal(altered([4, 1]), everything[[4, 1]])
    for other in (altered(list(range(6)), epoch=1), altered(list(range(6)), seed=1)):
        assert not np.array_equal(other, everything)
    boxes = {augmentation(seed=s).box(i, e, 50, 40) for s in (0, 1) for e in (0, 1) for i in IDS}
    assert len(boxes) == 24


def test_half_of_the_images_are_mirrored():
    ids = [f"s{row}" for row in range(400)]
    images = np.broadcast_to(IMAGES[0], (400, *IMAGES[0].shape))
    found = augmentation(magnitude=0).alter(images, ids, 0)
    mirrored = [np.array_equal(image, IMAGES[0, :, :, ::-1]) for image in found]
    plain = [np.array_equal(image, IMAGES[0]) for image in found]
    assert sum(mirrored) + sum(plain) == 400
    assert abs(sum(mirrored) - 200) < 4 * math.sqrt(100)


def test_no_augmentation_leaves_images_unchanged():
    nothing = augmentation(crop_scale=None, flip=False, magnitude=0)
    assert nothing.alter(IMAGES, IDS, 0) is IMAGES
    assert nothing.box("s0", 0, 50, 40) == (0, 0, 50, 40)


def test_crops_flips_and_rand_augment_move_pixels():
    assert not augmentation(crop_scale=None, flip=False, magnitude=0).moves
    assert augmentation(crop_scale=0.5, flip=False, magnitude=0).moves
    assert augmentation(crop_scale=None, flip=True, magnitude=0).moves
    assert augmentation(crop_scale=None, flip=False, magnitude=1).moves
