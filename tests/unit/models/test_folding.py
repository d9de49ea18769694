from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ectool.models.folding import fold_batch_norm
from ectool.models.modes import frozen
from ectool.models.registry import create


def stirred(network: nn.Module) -> nn.Module:
    """Give every batch normalisation statistics and factors that matter."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.3, generator=generator)
    return network.eval()


class Net(nn.Module):
    """A convolution whose output a second branch may use before normalisation."""

    def __init__(self, *, listens: bool = False, again: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.listens, self.again = listens, again

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv(x)
        out = self.norm(made) + self.listens * made
        if self.again:
            out = out + self.norm(out)
        return out.mean((2, 3))


EXAMPLE = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("architecture", "pairs"),
    [
        ("smallcnn", 4),
        ("resnet18", 20),
        ("mobilenet_v2", 52),
        ("import:narrow_networks:vgg16_bn", 13),
    ],
)
def test_every_pair_is_folded_and_the_logits_stay(architecture: str, pairs: int) -> None:
    model = stirred(create(architecture, ["a", "b"], seed=0, input_size=(32, 32)))
    with torch.no_grad():
        before = model(EXAMPLE)
        count = fold_batch_norm(model, EXAMPLE)
        after = model(EXAMPLE)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert (count, norms) == (pairs, [])
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


def test_input_gradients_stay() -> None:
    model = stirred(create("resnet18", ["a", "b"], seed=0, input_size=(32, 32)))
    folded = copy.deepcopy(model)
    fold_batch_norm(folded, EXAMPLE)
    gradients = []
    for network in (model, folded):
        pixels = EXAMPLE.clone().requires_grad_()
        gradients.append(torch.autograd.grad(network(pixels)[:, 0].sum(), pixels)[0])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-4)


def test_a_network_without_such_pairs_is_unchanged() -> None:
    # DenseNet normalises what it has concatenated, after but one convolution of each layer.
    model = stirred(create("densenet121", ["a", "b"], seed=0, input_size=(32, 32)))
    with torch.no_grad():
        before = model(EXAMPLE)
        count = fold_batch_norm(model, EXAMPLE)
        torch.testing.assert_close(model(EXAMPLE), before, rtol=1e-3, atol=1e-4)
    assert count == 59


@pytest.mark.parametrize("quirk", ["listens", "again"])
def test_convolutions_with_a_second_use_are_restored(quirk: str) -> None:
    network = stirred(Net(**{quirk: True}))
    modules = dict(network.named_modules())
    with torch.no_grad():
        before = network(EXAMPLE)
        assert fold_batch_norm(network, EXAMPLE) == 0
        assert torch.equal(network(EXAMPLE), before)
    assert dict(network.named_modules()) == modules


def test_the_target_layer_keeps_its_output() -> None:
    network = stirred(Net())
    assert fold_batch_norm(network, EXAMPLE, keep=[network.get_submodule("conv")]) == 0
    assert fold_batch_norm(network, EXAMPLE, keep=[network.get_submodule("norm")]) == 1


def test_batch_statistics_are_not_folded() -> None:
    network = Net()
    network.norm = nn.BatchNorm2d(4, track_running_stats=False)
    assert fold_batch_norm(network.eval(), EXAMPLE) == 0


def test_parameters_stay_frozen_and_channels_last() -> None:
    model = create("resnet18", ["a", "b"], seed=0, input_size=(32, 32))
    with frozen(model):
        fold_batch_norm(model, EXAMPLE, keep=[model.target_module])
        assert not any(parameter.requires_grad for parameter in model.parameters())
        weight = model.network.get_submodule("conv1").weight
        assert isinstance(weight, Tensor)
        assert weight.is_contiguous(memory_format=torch.channels_last)
