"""Replaced backgrounds, pixel by pixel."""

import numpy as np
import pytest
import torch

from ectool.attacks.replacement import draw_others, filled, replaced, without_object


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(5, 3, 6, 7, generator=generator)
    background = torch.rand(5, 6, 7, generator=generator) < 0.6
    return pixels, background


def test_pixels_equal_their_definition(batch):
    pixels, background = batch
    others = pixels.flip(0)
    found = [
        filled(pixels, background),
        without_object(pixels, background),
        replaced(pixels, background, others),
    ]
    for i in range(5):
        mean = np.stack([pixels[i, :, y, x] for y in range(6) for x in range(7)
                         if background[i, y, x]]).mean(0)  # fmt: skip
        for y in range(6):
            for x in range(7):
                own, behind = pixels[i, :, y, x].numpy(), bool(background[i, y, x])
                expected = [
                    mean if behind else own,
                    own if behind else mean,
                    others[i, :, y, x].numpy() if behind else own,
                ]
                for result, value in zip(found, expected, strict=True):
                    np.testing.assert_allclose(result[i, :, y, x], value, atol=1e-6)


def test_an_image_without_background_has_no_mean_to_fill_with(batch):
    pixels, _ = batch
    nothing = torch.zeros(5, 6, 7, dtype=torch.bool)
    assert torch.equal(filled(pixels, nothing), pixels)
    assert torch.equal(without_object(pixels, nothing), torch.zeros_like(pixels))


def test_another_image_is_drawn_for_each_image_and_the_draw_is_its_own():
    ids = [f"image/{i}" for i in range(40)]
    first, second = draw_others(ids, 0), draw_others(ids, 0, 1)
    assert (first != torch.arange(40)).all()
    assert not torch.equal(first, second)
    assert torch.equal(first, draw_others(ids, 0))
    renamed = draw_others(["other", *ids[1:]], 0)
    assert torch.equal(first[1:], renamed[1:])
