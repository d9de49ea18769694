"""Logits of groups compared with the definition: the best class, then its group."""

from __future__ import annotations

import pytest
import torch

from ectool.explainers import GradCAM
from ectool.models.outputs.grouping import OTHER, group_classes
from ectool.models.registry import create

CLASSES = 6
PIXELS = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    model = create("smallcnn", [str(k) for k in range(CLASSES)], seed=0).eval()
    with torch.no_grad():
        model.network.get_submodule("head").weight.mul_(50)
    return model


@pytest.mark.parametrize("mapping", [[0, -1, 1, 0, 2, -1], [2, 1, 0, 0, 1, 2], [5, 4, 3, 2, 1, 0]])
def test_the_best_group_is_that_of_the_best_class(model, mapping):
    names = [f"group {number}" for number in range(max(mapping) + 1)]
    grouped = group_classes(model, torch.tensor(mapping), names)
    assert grouped.class_names == (*names, OTHER) if -1 in mapping else tuple(names)
    with torch.no_grad():
        single, found = model(PIXELS), grouped(PIXELS)
    expected = torch.tensor(mapping)[single.argmax(dim=1)]
    predictions = found.argmax(dim=1)
    assert torch.equal(torch.where(predictions == len(names), -1, predictions), expected)
    for column in range(len(names)):
        members = [k for k, group in enumerate(mapping) if group == column]
        assert torch.equal(found[:, column], single[:, members].amax(dim=1))


def test_the_heatmap_of_a_group_is_that_of_its_best_class(model):
    grouped = group_classes(model, torch.tensor([0, -1, 1, 0, 2, -1]), ["a", "b", "c"])
    with torch.no_grad():
        single = model(PIXELS)
    best = torch.tensor([0, 3])[single[:, [0, 3]].argmax(dim=1)]
    expected = GradCAM(model)(PIXELS, best).heatmaps
    found = GradCAM(grouped)(PIXELS, torch.zeros(20, dtype=torch.int64)).heatmaps
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
