from __future__ import annotations

import captum.attr
import pytest
import torch
from rectified_networks import SIZE, rectified
from torch import nn

from ectool.explainers.gradient.integrated_gradients import (
    IntegratedGradients,
    integrated_gradients,
)
from ectool.explainers.gradients import pixel_gradient

TARGETS = torch.tensor([4, 0, 2])


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("passes", [1, 6])
def test_captum(images, passes):
    model = rectified()
    found = integrated_gradients(model, images, TARGETS, passes=passes)
    peer = captum.attr.IntegratedGradients(model.eval())
    expected = peer.attribute(images, target=TARGETS, n_steps=passes).float()
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    heatmaps = IntegratedGradients(model, passes=passes)(images, TARGETS).heatmaps
    torch.testing.assert_close(heatmaps, expected.sum(1).clamp(min=0), rtol=1e-4, atol=1e-6)


def test_one_point_is_the_gradient_half_way(images):
    model = rectified()
    found = integrated_gradients(model, images, TARGETS, passes=1)
    torch.testing.assert_close(found, images * pixel_gradient(model, images / 2, TARGETS))


def test_attributions_sum_to_the_difference_to_black(images):
    model = rectified(nn.functional.softplus).eval()
    model.network.pool = nn.AvgPool2d(2)  # quadrature converges where the path has no kinks
    found = integrated_gradients(model, images, TARGETS, passes=12).sum((1, 2, 3))
    with torch.no_grad():
        expected = (model(images) - model(torch.zeros_like(images)))[range(3), TARGETS]
    assert expected.abs().min() > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
