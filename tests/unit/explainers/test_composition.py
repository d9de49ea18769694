"""Several layers, one map."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.errors import UsageError
from ectool.explainers import EXPLAINERS
from ectool.explainers.base import Explanation, Method
from ectool.explainers.composition import Augmented, FusedLayers, make_explainer
from ectool.models.classifier import Classifier
from ectool.models.interpolation import upsample
from ectool.models.layers.target_layer import TargetLayer

ZERO, ONE = torch.zeros(1, 2, 2), torch.ones(1, 1, 1)
TARGETS = torch.tensor([[0, 3], [2, -1], [4, 1]])


@pytest.fixture
def two_layers(wrap, images):
    first, second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    model = wrap(nn.Sequential(first, nn.ReLU(), second), head)
    return Classifier(model.network, model.spec, [TargetLayer("trunk.1", "nchw")])


def alone(model, images, targets):
    explain = EXPLAINERS["gradcam"].make
    return [explain(view)(images, targets).heatmaps for view in model.each_layer()]


@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("targets", [TARGETS, TARGETS[:, 0]])
def test_each_map_is_scaled_to_its_maximum_first(two_layers, images, targets, how):
    images = images[:3]
    coarse, fine = alone(two_layers, images, targets)
    assert coarse.shape[-2:] == (4, 6)
    explain = make_explainer("gradcam", EXPLAINERS["gradcam"], two_layers, {}, how)
    found = explain(images, targets).heatmaps
    assert found.shape == (*targets.shape, 8, 12)
    for at in torch.cartesian_prod(*map(torch.arange, targets.shape)).view(-1, targets.ndim):
        small, other = (m / m.max() if m.any() else m for m in (coarse[tuple(at)], fine[tuple(at)]))
        one = upsample(small[None], (8, 12))[0]
        expected = (one + other) / 2 if how == "mean" else one.maximum(other)
        torch.testing.assert_close(found[tuple(at)], expected)


def test_all_layers_explain_the_predicted_class(two_layers, images):
    explain = make_explainer("gradcam", EXPLAINERS["gradcam"], two_layers, {})
    predicted = two_layers.eval()(images).argmax(1)
    assert torch.equal(explain(images).heatmaps, explain(images, predicted).heatmaps)


def test_methods_without_layers_and_unknown_options_are_rejected(two_layers):
    with pytest.raises(UsageError, match="--layer: expected none for --method own"):
        make_explainer("own", Method(EXPLAINERS["gradcam"].make, "own"), two_layers, {})
    with pytest.raises(UsageError, match="--window: expected an option that --method gradcam has"):
        make_explainer("gradcam", EXPLAINERS["gradcam"], two_layers, {"window": 3})


def test_augmented_maps_are_averaged_over_six_changes(make, images, targets):
    model = make("deep")
    plain = EXPLAINERS["gradcam"].make(model)
    found = Augmented(model, plain)(images, targets)
    total = 0
    for contrast in (0.9, 1.0, 1.1):
        for flip in (False, True):
            changed = 0.5 + contrast * (images - 0.5)
            maps = plain(changed.flip(3) if flip else changed, targets).heatmaps
            total = total + (maps.flip(2) if flip else maps)
    torch.testing.assert_close(found.heatmaps, total / 6)
    assert torch.equal(found.logits, plain(images).logits)
    predicted = Augmented(model, plain)(images)
    expected = Augmented(model, plain)(images, found.logits.argmax(1))
    assert torch.equal(predicted.heatmaps, expected.heatmaps)


def test_a_dead_layer_does_not_spoil_the_others():
    dead, alive = (Explanation(maps, torch.zeros(1, 3)) for maps in (ZERO, torch.full_like(ONE, 7)))
    fused = FusedLayers([lambda *_: dead, lambda *_: alive], "mean")(torch.zeros(1, 3, 4, 4), None)
    assert torch.equal(fused.heatmaps, torch.full((1, 2, 2), 0.5))
