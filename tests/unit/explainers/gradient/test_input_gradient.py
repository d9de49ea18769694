from __future__ import annotations

import captum.attr
import pytest
import torch
from rectified_networks import SIZE, rectified

from ectool.explainers.gradient.input_gradient import InputXGradient
from ectool.explainers.gradients import pixel_gradient

TARGETS = torch.tensor([4, 0, 2])


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def test_agrees_with_differences(images):
    model = rectified().double().eval()
    images = images.double()
    found = pixel_gradient(model, images, TARGETS)
    assert found.dtype == torch.float32
    for position in [(0, 0, 0), (1, 3, 7), (2, 7, 11)]:
        step = torch.zeros_like(images)
        step[:, *position] = 1e-6
        up, down = (model(images + sign * step).detach() for sign in (1, -1))
        expected = ((up - down) / 2e-6)[range(3), TARGETS]
        torch.testing.assert_close(found[:, *position].double(), expected, rtol=1e-4, atol=1e-6)


def test_captum(images):
    model = rectified()
    heatmaps = InputXGradient(model)(images, TARGETS).heatmaps
    saliency = pixel_gradient(model, images, TARGETS)
    model.eval()
    peer = captum.attr.InputXGradient(model)
    expected = peer.attribute(images.clone().requires_grad_(), TARGETS).detach()
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(images * saliency, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(heatmaps, expected.sum(1).clamp(min=0), rtol=1e-4, atol=1e-6)
    peer = captum.attr.Saliency(model)
    expected = peer.attribute(images.clone().requires_grad_(), TARGETS, abs=False)
    torch.testing.assert_close(saliency, expected, rtol=1e-4, atol=1e-6)


def test_heatmaps_are_the_positive_part_over_channels(images):
    model = rectified()
    expected = (images * pixel_gradient(model, images, TARGETS)).sum(1).clamp(min=0)
    torch.testing.assert_close(InputXGradient(model)(images, TARGETS).heatmaps, expected)


def test_black_images_have_no_attribution(images):
    assert not InputXGradient(rectified())(torch.zeros_like(images)).heatmaps.any()
