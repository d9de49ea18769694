from __future__ import annotations

import pytest
import torch
from rectified_networks import SIZE, rectified

from ectool.explainers.gradient.smooth_grad import SmoothGrad, smooth_gradient
from ectool.explainers.gradients import pixel_gradient
from ectool.seeding import stream

TARGETS = torch.tensor([4, 0, 2])


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1)) * 0.5


def test_agrees_with_the_definition(images):
    model = rectified()
    found = smooth_gradient(model, images, TARGETS, passes=4, noise=0.2, seed=7)
    model.eval()
    draws = torch.from_numpy(stream(7, "smoothgrad").standard_normal((4, 3, *SIZE), "float32"))
    for image, target, attribution in zip(images, TARGETS, found, strict=True):
        gradients = []
        for draw in draws:
            noisy = image + 0.2 * (image.max() - image.min()) * draw
            noisy.requires_grad_()
            (gradient,) = torch.autograd.grad(model(noisy[None])[0, target], noisy)
            gradients.append(gradient)
        torch.testing.assert_close(attribution, sum(gradients) / 4, rtol=1e-4, atol=1e-6)
    heatmaps = SmoothGrad(model, passes=4, noise=0.2, seed=7)(images, TARGETS).heatmaps
    torch.testing.assert_close(heatmaps, found.abs().amax(1))


def test_constant_images_have_no_range_for_noise():
    model, images = rectified(), torch.full((1, 3, *SIZE), 0.25)
    found = smooth_gradient(model, images, TARGETS[:1], passes=2, noise=0.15, seed=0)
    torch.testing.assert_close(found, pixel_gradient(model, images, TARGETS[:1]))


def test_the_noise_belongs_to_the_seed(images):
    model = rectified()
    first, again, other = (
        SmoothGrad(model, passes=2, seed=seed)(images).heatmaps for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
