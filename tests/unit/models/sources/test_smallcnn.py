from __future__ import annotations

import pytest
import torch

from ectool.models.sources.smallcnn import SmallCNN


@pytest.fixture
def model() -> SmallCNN:
    torch.manual_seed(0)
    return SmallCNN(10).eval()


def test_the_network_has_about_a_hundred_thousand_parameters(model):
    assert 70_000 < sum(p.numel() for p in model.parameters()) < 120_000


@pytest.mark.parametrize("classes", [1, 10, 37])
def test_one_logit_per_class(classes):
    assert SmallCNN(classes)(torch.rand(2, 3, 32, 32)).shape == (2, classes)


def test_feature_maps_are_eight_by_eight_and_not_negative(model):
    maps = model.features(torch.rand(2, 3, 32, 32))
    assert maps.shape == (2, 96, 8, 8)
    assert maps.min() >= 0


def test_grad_cam_has_the_closed_form_of_a_pooled_linear_head(model):
    maps = model.features(torch.rand(3, 3, 32, 32)).detach().requires_grad_()
    logits = model.head(maps.mean((2, 3)))
    (gradient,) = torch.autograd.grad(logits[:, 4].sum(), maps)
    by_gradient = (gradient.mean((2, 3), keepdim=True) * maps).sum(1)
    closed = torch.einsum("k,nkij->nij", model.head.weight[4], maps) / maps[0, 0].numel()
    torch.testing.assert_close(by_gradient, closed)


def test_logits_do_not_depend_on_the_batch_or_the_memory_format(model):
    images = torch.rand(5, 3, 32, 32)
    whole = model(images)
    single = torch.cat([model(image[None]) for image in images])
    last = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(whole, single)
    torch.testing.assert_close(whole, last(images.contiguous(memory_format=torch.channels_last)))


def test_the_same_seed_gives_the_same_network():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(SmallCNN(10).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
