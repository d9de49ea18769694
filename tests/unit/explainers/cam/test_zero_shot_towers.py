"""Grad-CAM of zero-shot classifiers: attention pool, normalisation and texts after the layer."""

from __future__ import annotations

import pytest
import torch
from small_clips import TOWERS, both_towers, zero_shot_network
from torch.nn import functional as F

from ectool.explainers import EXPLAINERS
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.layers.target_layer import find_target_layer


def classifier(tower: str) -> Classifier:
    vision = TOWERS[tower]
    size = (vision["image_size"],) * 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = zero_shot_network(vision, 5)
    network.visual.load_state_dict(both_towers(vision).visual.state_dict())
    target = find_target_layer(network, size)
    spec = ModelSpec(
        "clip", tuple("abcde"), size, (0.5,) * 3, (0.25,) * 3, target.name, target.layout
    )
    return Classifier(network, spec)


@pytest.mark.slow
@pytest.mark.parametrize("tower", list(TOWERS))
def test_agrees_with_the_definition(tower):
    model = classifier(tower)
    images = torch.rand(3, 3, *model.input_size, generator=torch.Generator().manual_seed(2))
    targets = torch.arange(5).expand(3, 5)
    found = EXPLAINERS["gradcam"].make(model)(images, targets).heatmaps
    kept = []
    hook = model.target_module.register_forward_hook(lambda _m, _i, output: kept.append(output))
    pixels = (images - 0.5) / 0.25
    features = model.eval().network.visual(pixels.requires_grad_())
    hook.remove()
    logits = F.normalize(features, dim=1) @ model.network.head.weight.T
    scores = logits.sum(0) * model.network.head.logit_scale.exp()
    for target, score in enumerate(scores):
        maps = kept[0]
        (slopes,) = torch.autograd.grad(score, maps, retain_graph=True)
        if tower == "vit":  # without the class token, row by row
            side = round((maps.shape[1] - 1) ** 0.5)
            maps, slopes = (t[:, 1:].mT.unflatten(2, (side, side)) for t in (maps, slopes))
        expected = (slopes.mean((2, 3), keepdim=True) * maps).sum(1).relu()
        torch.testing.assert_close(found[:, target], expected.detach())
    assert found.any()
