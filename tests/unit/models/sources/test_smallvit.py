from __future__ import annotations

import pytest
import torch

from ectool.errors import InputError
from ectool.explainers import EXPLAINERS, make_explainer
from ectool.models.layers.target_layer import find_target_layer
from ectool.models.registry import create
from ectool.models.sources.smallvit import SmallViT

NAMES = tuple("0123456789")


@pytest.mark.parametrize("side", [32, 64])
def test_tokens_form_a_grid_of_eight_by_eight(side):
    torch.manual_seed(0)
    network = SmallViT(10, (side, side)).eval()
    assert network(torch.rand(2, 3, side, side)).shape == (2, 10)
    target = find_target_layer(network, (side, side))
    assert (target.name, target.layout) == ("encoder", "tokens")
    tokens = torch.arange(64.0).expand(96, -1).T[None]
    maps = target.to_nchw(tokens, (side, side))
    assert maps.shape == (1, 96, 8, 8)
    assert maps[0, 0].flatten().tolist() == list(range(64))


def test_it_has_about_four_hundred_thousand_parameters():
    assert 300_000 < sum(p.numel() for p in SmallViT(10, (64, 64)).parameters()) < 500_000


@pytest.mark.parametrize("side", [32, 64])
def test_a_patch_sees_its_neighbourhood_only(side):
    torch.manual_seed(0)
    stem = SmallViT(10, (side, side)).eval().stem
    images = torch.rand(1, 3, side, side)
    changed = images.clone()
    changed[..., : side // 8, : side // 8] = 0
    moved = (stem(images) - stem(changed)).abs().amax(1)[0] > 0
    assert moved[0, 0]
    assert not moved[3:].any()
    assert not moved[:, 3:].any()


def test_every_token_attends_to_every_other():
    torch.manual_seed(0)
    network = SmallViT(10, (32, 32)).eval()
    tokens = torch.rand(1, 64, 96)
    changed = tokens.clone()
    changed[0, 0] = 0
    assert ((network.encoder(tokens) - network.encoder(changed)).abs().amax(2) > 0).all()


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("method", ["gradcam", "attention-rollout", "transformer-relevance"])
def test_heatmaps_lie_on_the_grid_of_tokens(side, method):
    model = create("smallvit", NAMES, seed=0, input_size=(side, side)).eval()
    explain = make_explainer(method, EXPLAINERS[method], model, {})
    heatmaps = explain(torch.rand(10, 3, side, side), torch.arange(10)).heatmaps
    assert heatmaps.shape == (10, 8, 8)
    assert (heatmaps.flatten(1).std(1) > 0).sum() >= 5


def test_grad_cam_has_the_closed_form_of_a_mean_and_a_linear_head():
    model = create("smallvit", NAMES, seed=0, input_size=(32, 32)).eval()
    images, targets = torch.rand(3, 3, 32, 32), torch.tensor([1, 5, 9])
    heatmaps = make_explainer("gradcam", EXPLAINERS["gradcam"], model, {})(images, targets).heatmaps
    network = model.network
    normalised = (images - 0.5) / 0.25
    with torch.no_grad():
        tokens = network.encoder(network.stem(normalised).flatten(2).transpose(1, 2))
        expected = (tokens @ network.head.weight.T).gather(
            2, targets[:, None, None].expand(-1, 64, 1)
        )
    torch.testing.assert_close(heatmaps.detach().flatten(1), expected[..., 0].relu() / 64)


@pytest.mark.parametrize("size", [(30, 30), (32, 64), (68, 68)])
def test_other_sizes_are_refused(size):
    with pytest.raises(InputError, match="input size: expected a size smallvit accepts, got"):
        create("smallvit", NAMES, seed=0, input_size=size)
