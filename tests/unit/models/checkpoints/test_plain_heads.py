from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.checkpoints.checkpoint import load_weights
from ectool.models.checkpoints.plain_heads import plain_head
from ectool.models.class_count import class_count
from ectool.models.registry import create

OWN = {
    "conv.weight": torch.ones(4, 3, 1, 1),
    "fc.weight": torch.ones(3, 4),
    "fc.bias": torch.ones(3),
}
WEIGHT, BIAS = torch.ones(5, 4), torch.ones(5)


@pytest.mark.parametrize(
    ("beside", "names"),
    [
        (
            {"fc.1.weight": WEIGHT, "fc.1.bias": BIAS},
            {"fc.weight": "fc.1.weight", "fc.bias": "fc.1.bias"},
        ),
        ({"fc.1.weight": torch.ones(5, 7), "fc.1.bias": BIAS}, {}),
        ({"fc.1.weight": WEIGHT}, {}),
        ({"head.weight": WEIGHT, "head.bias": BIAS}, {}),
        ({"fc.0.weight": WEIGHT, "fc.0.bias": BIAS, "fc.2.weight": WEIGHT, "fc.2.bias": BIAS}, {}),
        ({"fc.weight": WEIGHT, "fc.1.bias": BIAS}, {}),
    ],
    ids=["dropout", "another width", "no bias", "another name", "two layers", "half"],
)
def test_one_linear_layer_is_the_head(beside, names):
    state = {"conv.weight": OWN["conv.weight"], **beside}
    assert plain_head(state, OWN, {"fc"}) == names


def test_a_linear_layer_in_place_of_a_sequential_is_the_head():
    own = {"classifier.1.weight": WEIGHT, "classifier.1.bias": BIAS}
    state = {"classifier.weight": WEIGHT, "classifier.bias": BIAS}
    found = plain_head(state, own, {"classifier.1"})
    assert found == {f"classifier.1.{n}": f"classifier.{n}" for n in ("weight", "bias")}


@pytest.fixture
def dropout(tmp_path):
    """A network whose head is a linear layer after dropout, in a file, and as the network is."""
    network = create("smallcnn", tuple("abc"), seed=3).network
    plain = network.state_dict()
    network.head = nn.Sequential(nn.Dropout(), network.head)
    torch.save({"model": network.state_dict()}, tmp_path / "dropout.pth")
    return tmp_path / "dropout.pth", plain


def test_networks_with_dropout_before_the_head_load(dropout):
    path, plain = dropout
    assert class_count("smallcnn", path) == 3
    model = create("smallcnn", tuple("abc"), seed=4)
    loaded = load_weights(model, path)
    assert all(torch.equal(v, plain[n]) for n, v in model.network.state_dict().items())
    assert list(loaded.remarks()) == ["head.1.bias, head.1.weight loaded as head.bias, head.weight"]
    with pytest.raises(InputError, match="a head for 2 classes, got one for 3 classes"):
        load_weights(create("smallcnn", ("a", "b"), seed=4), path)
