from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from skimage import data

from ectool.datasets.base import SPLITS
from ectool.datasets.generated import photographs as module
from ectool.datasets.generated.composition import Draw
from ectool.datasets.generated.photographs import (
    CROP_DRAWS,
    PHOTOGRAPHS,
    REGION,
    crop,
    load_photographs,
    photograph_folder,
    regions,
)
from ectool.errors import AbsentError, IntegrityError

SHAPES = [(300, 451), (400, 600), (303, 384), (512, 512), (500, 741)]
SIDE = 64


@pytest.fixture
def unloaded():
    load_photographs.cache_clear()
    yield
    load_photographs.cache_clear()


def draws(name):
    return Draw(0, name)("crop", CROP_DRAWS)


def test_the_photographs_are_those_that_scikit_image_returns():
    found = dict(zip(PHOTOGRAPHS, load_photographs(), strict=True))
    np.testing.assert_array_equal(found["chelsea"], data.chelsea())
    np.testing.assert_array_equal(found["coffee"], data.coffee())
    np.testing.assert_array_equal(found["grass"][..., 1], data.grass())
    assert sorted({pixels.shape[:2] for pixels in found.values()}) == sorted(SHAPES)


def test_without_scikit_image_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(AbsentError, match=r"scikit-image, got no such package; pip install 'ect"):
        photograph_folder()


def test_other_photographs_are_refused(monkeypatch, unloaded):
    monkeypatch.setattr(module, "PHOTOGRAPHS_SHA256", "0" * 64)
    with pytest.raises(IntegrityError, match="scikit-image's photographs: expected SHA-256 000"):
        load_photographs()


def test_a_photograph_that_cannot_be_read_is_named(monkeypatch, unloaded, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "astronaut.png")
    (tmp_path / "brick.png").write_bytes(b"no image")
    monkeypatch.setattr(module, "photograph_folder", lambda: tmp_path)
    with pytest.raises(IntegrityError, match=r"brick\.png: expected a photograph of scikit-image"):
        load_photographs()


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_every_pixel_belongs_to_one_split(height, width):
    owners = np.zeros((height, width), np.int64)
    shares = {}
    for split in SPLITS:
        for x0, y0, x1, y1 in regions(height, width, split):
            owners[y0:y1, x0:x1] += 1
            assert REGION <= x1 - x0 < 1.5 * REGION
            assert REGION <= y1 - y0 < 1.5 * REGION
        shares[split] = len(regions(height, width, split))
    assert (owners == 1).all()
    assert min(shares.values()) >= 1
    assert shares["train"] >= 2 * shares["validation"] - 1


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("split", SPLITS)
def test_crops_depend_on_no_pixel_of_another_split(split, number):
    photograph = load_photographs()[number]
    boxes = regions(*photograph.shape[:2], split)
    noise = np.random.default_rng(number).integers(0, 256, photograph.shape).astype(np.uint8)
    for x0, y0, x1, y1 in boxes:
        noise[y0:y1, x0:x1] = photograph[y0:y1, x0:x1]
    for trial in range(20):
        uniforms = draws(f"{split} {trial}")
        expected = crop(photograph, boxes, uniforms, SIDE)
        np.testing.assert_array_equal(crop(noise, boxes, uniforms, SIDE), expected)


def slow_crop(photograph, box, uniforms, side):
    """Recompute a crop with angles, pixel by pixel."""
    x0, y0, x1, y1 = box
    angle = math.atan2(2 * uniforms[2] - 1, 2 * uniforms[1] - 1)
    free = min(x1 - x0, y1 - y0) - 1
    extent = free * (0.75 + 0.25 * uniforms[4])
    width = extent / (abs(math.cos(angle)) + abs(math.sin(angle)))
    middle = (
        x0 + extent / 2 + (x1 - x0 - 1 - extent) * uniforms[5],
        y0 + extent / 2 + (y1 - y0 - 1 - extent) * uniforms[6],
    )
    shift = 0.2 * (2 * uniforms[8] - 1)
    image = np.zeros((3, side, side))
    for row in range(side):
        for column in range(side):
            v = (row / (side - 1) - 0.5) * width
            u = (column / (side - 1) - 0.5) * width
            u = u if uniforms[3] < 0.5 else -u
            x = middle[0] + u * math.cos(angle) - v * math.sin(angle)
            y = middle[1] + u * math.sin(angle) + v * math.cos(angle)
            for channel, gain in enumerate((1 + shift, 1, 1 - shift)):
                value = sum(
                    max(0, 1 - abs(x - j)) * max(0, 1 - abs(y - i)) * photograph[i, j, channel]
                    for i in range(int(y), min(int(y) + 2, len(photograph)))
                    for j in range(int(x), min(int(x) + 2, photograph.shape[1]))
                )
                image[channel, row, column] = value * gain * (0.6 + 0.4 * uniforms[7])
    return image.clip(0, 255)


@pytest.mark.parametrize("family", [2, 5])
def test_a_crop_is_a_rotated_square_between_pixels(family):
    photograph, uniforms = load_photographs()[family], draws(f"slow {family}")
    boxes = regions(*photograph.shape[:2], "train")
    box = boxes[int(len(boxes) * uniforms[0])]
    expected = slow_crop(photograph, box, uniforms, 16)
    assert np.abs(crop(photograph, boxes, uniforms, 16) - expected).max() <= 0.51


def test_crops_of_a_photograph_differ():
    photograph = load_photographs()[1]
    boxes = regions(*photograph.shape[:2], "test")
    crops = {crop(photograph, boxes, draws(str(n)), SIDE).tobytes() for n in range(50)}
    assert len(crops) == 50
