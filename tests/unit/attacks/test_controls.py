"""The controls by their definitions: noise, blur, fill and swap of the background."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from ectool.attacks.ball import LinfBall
from ectool.attacks.controls import blur, fill, noise, swap
from ectool.attacks.losses import LOSSES
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.perturbation import finish
from ectool.attacks.pgd import Settings


@pytest.fixture
def ball(batch):
    images, _, background = batch(n=3, size=16)
    background[1], background[2] = True, False
    return LinfBall.around(images.float() / 255, background, 1.0)


@pytest.fixture
def nothing(model, batch):
    """An objective that a control must not evaluate."""

    def refuse(pixels):
        raise AssertionError("asked")

    return LabelLoss(refuse, LOSSES["ce"], batch(n=3)[1])


@pytest.mark.parametrize("sigma", [0.7, 2.0, None])
def test_blur_is_the_gaussian_mean_over_the_background(sigma, ball, nothing):
    found = blur(ball, nothing, ball.clean, Settings(sigma=sigma))
    width = 1.0 if sigma is None else sigma  # a sixteenth of 16 pixels
    for row in range(3):
        inside = ball.weight[row].numpy().astype(float)
        share = ndimage.gaussian_filter(inside, width, mode="constant", truncate=4)
        for channel in range(3):
            plane = ball.clean[row, channel].double().numpy()
            total = ndimage.gaussian_filter(plane * inside, width, mode="constant", truncate=4)
            blurred = np.divide(total, share, out=np.zeros_like(total), where=share > 0)
            expected = np.where(inside > 0, blurred, plane)
            np.testing.assert_allclose(found[row, channel], expected, atol=1e-5)


def test_nothing_of_the_object_leaks_into_the_blur(ball, nothing):
    object_changed = torch.where(ball.weight[:, None], ball.clean, 1 - ball.clean)
    other = LinfBall.around(object_changed, ball.weight, 1.0)
    one, two = (blur(b, nothing, b.clean, Settings(sigma=2.0)) for b in (ball, other))
    where = ball.weight[:, None].expand_as(one)
    torch.testing.assert_close(one[where], two[where])


def test_fill_takes_the_mean_of_the_background_or_a_colour(ball, nothing):
    mean = fill(ball, nothing, ball.clean, Settings())
    given = fill(ball, nothing, ball.clean, Settings(color=(0.2, 0.4, 1.0)))
    for row in range(3):
        where = ball.weight[row]
        for channel, value in enumerate((0.2, 0.4, 1.0)):
            plane = ball.clean[row, channel]
            expected = torch.where(where, value, plane)
            torch.testing.assert_close(given[row, channel], expected)
            level = plane[where].mean() if where.any() else 0.0
            torch.testing.assert_close(mean[row, channel], torch.where(where, level, plane))


def test_swap_takes_the_other_image_outside_the_object(ball, nothing):
    other = 1 - ball.clean.roll(1, 0)
    found = swap(ball, nothing, other, Settings())
    for row in range(3):
        expected = torch.where(ball.weight[row], other[row], ball.clean[row])
        torch.testing.assert_close(found[row], expected)


def test_soft_weights_blend(ball, nothing):
    soft = LinfBall.around(ball.clean, ball.weight * 0.25, 1.0)
    found = fill(soft, nothing, ball.clean, Settings(color=(0.5, 0.5, 0.5)))
    expected = ball.clean + 0.25 * ball.weight[:, None] * (0.5 - ball.clean)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("control", [noise, blur, fill, swap])
def test_the_object_is_bit_identical_and_the_grid_is_kept(control, ball, nothing, model):
    start = ball.clean + 0.3
    pixels = control(ball, nothing, start, Settings(sigma=1.0))
    found = finish(ball, pixels, model, nothing.allows).images
    clean = ball.clean.mul(255).round().byte()
    still = (~ball.weight[:, None]).expand_as(found)
    assert torch.equal(found[still], clean[still])
    assert (found != clean)[1].float().mean() > 0.5
    torch.testing.assert_close(found / 255, pixels, rtol=0, atol=0.51 / 255)


def test_noise_is_the_projected_start(ball, nothing):
    assert torch.equal(noise(ball, nothing, ball.clean + 9, Settings()), ball.upper)
