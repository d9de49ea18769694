"""Layers are searched at the size in use; networks without one still predict."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.registry import create

NAMES = tuple("abcde")
FACTORIES = """
from torch import nn

def lenet(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, num_classes))

def perceptron(num_classes):
    hidden = nn.Linear(3 * 32 * 32, 8)
    return nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), nn.Linear(8, num_classes))

def grey(num_classes):
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(nn.Conv2d(1, 4, 3), pooled, nn.Linear(4, num_classes))

def lazy(num_classes):
    return nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(num_classes))
"""


@pytest.fixture(autouse=True)
def factories(tmp_path, monkeypatch):
    (tmp_path / "sized_networks.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)


def made(name, side=32):
    return create(f"import:sized_networks:{name}", NAMES, seed=0, input_size=(side, side))


def test_a_network_for_one_size_has_a_layer_at_that_size():
    assert made("lenet").target_layer.name == "4"
    with pytest.raises(InputError, match=r"first linear layer|224x224"):
        made("lenet", 224)


def test_a_resnet_at_32_pixels_is_not_explained_by_a_single_position():
    model = create("resnet18", NAMES, seed=0, input_size=(32, 32))
    with torch.no_grad():
        at = model.network.get_submodule(model.target_layer.name)
        shapes = []
        at.register_forward_hook(lambda _m, _a, out: shapes.append(out.shape[2:]))
        model.eval()(torch.rand(1, 3, 32, 32))
    assert shapes == [(2, 2)]


def test_a_perceptron_predicts_and_its_error_explains_the_missing_heatmaps():
    model = made("perceptron")
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 5)
    with pytest.raises(InputError, match="none, as in a multi-layer perceptron"):
        _ = model.target_layer


def test_a_grey_network_is_refused_for_its_channels():
    with pytest.raises(InputError, match="got one whose first convolution takes 1;"):
        made("grey")


def test_lazy_layers_are_made_at_the_size_in_use():
    model = made("lazy")
    assert model.network[3].weight.shape == (5, 4 * 30 * 30)
    assert not any(isinstance(p, nn.UninitializedParameter) for p in model.parameters())
