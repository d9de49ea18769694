from __future__ import annotations

import captum.attr
import pytest
import torch
from rectified_networks import SIZE, rectified
from torch import Tensor, nn
from torch.nn import functional as F

from ectool.errors import InputError
from ectool.explainers.gradient.guided_backprop import GuidedBackprop, run_guided
from ectool.explainers.gradients import target_gradient
from ectool.models.modes import frozen
from ectool.models.registry import create

TARGETS = torch.tensor([4, 0, 2])


def by_hand(values: Tensor) -> Tensor:
    values.relu_()
    return values


SPELLINGS = {
    "in-place module": nn.ReLU(inplace=True),
    "F.relu": F.relu,
    "F.relu in place": lambda values: F.relu(values, inplace=True),
    "F.relu in place, by position": lambda values: F.relu(values, True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "F.relu_": F.relu_,
    "Tensor.relu": Tensor.relu,
    "Tensor.relu_": by_hand,
    "exported": torch.ops.aten.relu.default,
}


@pytest.fixture
def images():
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def guided_gradient(model, images, classes) -> Tensor:
    """The signed gradient of every channel."""
    with frozen(model):
        leaf, logits = run_guided(model, images)
        return target_gradient(logits, leaf, classes)


def assert_same(found: Tensor, expected: Tensor) -> None:
    scale = expected.abs().max().item()
    assert scale > 1e-4
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.filterwarnings("ignore:(Input Tensor|Setting backward hooks):UserWarning")
@pytest.mark.parametrize("architecture", ["smallcnn", "resnet18"])
def test_captum(architecture):
    model = create(architecture, tuple("abcde"), seed=0, input_size=(32, 32)).eval()
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = captum.attr.GuidedBackprop(model).attribute(images, TARGETS).detach()
    assert_same(guided_gradient(model, images, TARGETS), expected)
    heatmaps = GuidedBackprop(model)(images, TARGETS).heatmaps
    assert_same(heatmaps, expected.abs().amax(1))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_relu_is_guided(images, spelling):
    expected = guided_gradient(rectified(nn.ReLU()), images, TARGETS)
    assert_same(guided_gradient(rectified(SPELLINGS[spelling]), images, TARGETS), expected)


def test_agrees_with_the_definition():
    weights = torch.tensor([[1.0, -1.0], [2.0, 3.0], [1.0, 0.5]])
    head = torch.tensor([[1.0, -2.0, 3.0]])

    class Network(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return F.linear(F.relu(F.linear(images[:, :2, 0, 0], weights)), head)

    model = rectified()
    model.network = Network()
    images = torch.full((1, 3, 1, 1), 0.95)
    found = guided_gradient(model, images, torch.tensor([0]))[0, :2, 0, 0]
    inputs = ((images - model.mean) / model.std)[0, :2, 0, 0]
    expected = torch.zeros(2)
    for unit in range(3):
        if weights[unit] @ inputs > 0 and head[0, unit] > 0:
            expected += head[0, unit] * weights[unit]
    torch.testing.assert_close(found, expected / model.std[:2, 0, 0])
    assert found.any()


@pytest.mark.parametrize("activation", [F.silu, F.relu6, lambda values: values.clamp(min=0)])
def test_networks_without_relus_are_refused(images, activation):
    model = rectified(activation)
    with pytest.raises(InputError, match=r"^model tiny: expected a network with ReLUs"):
        GuidedBackprop(model)(images)
