from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ectool.models.classifier import ModelSpec
from ectool.models.layers.template_masks import (
    add_template_masks,
    distance_templates,
    mask_maps,
)
from ectool.models.modes import forward_hooks
from ectool.models.registry import build, create

SIZES = [(5, 5), (4, 6), (1, 3)]


def slow_masks(maps):
    """Mask every map from the definition of the paper, divided by tau."""
    _, _, height, width = maps.shape
    masked = np.zeros_like(maps)
    for n, c in np.ndindex(maps.shape[:2]):
        positive = np.maximum(maps[n, c], 0)
        top = np.unravel_index(positive.argmax(), positive.shape)
        for i, j in np.ndindex(height, width):
            away = abs(i - top[0]) / height + abs(j - top[1]) / width
            masked[n, c, i, j] = positive[i, j] * max(1 - 4 * away, -1, 0)
    return masked


@pytest.mark.parametrize("size", SIZES)
def test_maps_are_kept_around_their_maximum(size):
    maps = torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(0))
    maps[0, 0] = -1
    torch.testing.assert_close(mask_maps(maps).numpy(), slow_masks(maps.numpy()))


def test_a_template_is_one_at_its_peak_and_minus_one_far_away():
    template = distance_templates(torch.tensor([0.0, 0.0]), 8, 8)
    assert template[0, 0] == 1
    assert template[0, 2] == 0
    assert template[7, 7] == -1


def test_the_gradient_is_the_mask():
    maps = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    mask_maps(maps).sum().backward()
    ratio = mask_maps(maps).detach() / maps.detach()
    torch.testing.assert_close(maps.grad, ratio)


class TestNetworks:
    @pytest.fixture
    def model(self):
        return create("smallcnn", ("a", "b"), seed=0, input_size=(16, 16)).eval()

    @pytest.fixture
    def images(self):
        return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def test_masking_twice_is_masking_once(self, model, images):
        plain = model(images)
        add_template_masks(model.network, "features")
        once = model(images)
        add_template_masks(model.network, "features")
        assert (model(images) == once).all()
        assert not torch.allclose(once, plain)

    def test_later_hooks_receive_the_masked_maps(self, model, images):
        found = []
        plain = model.network.features(images)
        add_template_masks(model.network, "features")
        with forward_hooks([model.network.features], lambda *call: found.append(call[2])):
            model.network(images)
        torch.testing.assert_close(found[0], mask_maps(plain))

    def test_a_rebuilt_model_has_the_masks(self, model, images):
        add_template_masks(model.network, "features")
        spec = replace(model.spec, masked_layer="features")
        again = build(ModelSpec.from_json(spec.to_json())).eval()
        again.load_state_dict(model.state_dict())
        assert (again(images) == model(images)).all()

    def test_other_models_do_not_mention_masks(self, model):
        assert "masked_layer" not in model.spec.to_json()
