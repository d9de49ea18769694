from __future__ import annotations

import narrow_networks
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from ectool.errors import InputError
from ectool.models.sources.smallcnn import SmallCNN
from ectool.sanity import find_blocks
from ectool.sanity.blocks import MAX_BLOCKS


def modules_of(blocks):
    return [name for block in blocks for name in block.modules]


def with_weights(network):
    return [
        name
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]


NETWORKS = {
    "smallcnn": (lambda: SmallCNN(4), (32, 32)),
    "resnet18": (lambda: resnet18(num_classes=4), (32, 32)),
    "vgg16_bn": (lambda: narrow_networks.vgg16_bn(4), (32, 32)),
    "vit": (lambda: narrow_networks.vit(4), (64, 64)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_contain_every_layer_once_and_the_head_is_a_block(name):
    make, size = NETWORKS[name]
    network = make()
    blocks = find_blocks(network, size)
    assert sorted(modules_of(blocks)) == sorted(with_weights(network))
    assert len(blocks) == MAX_BLOCKS
    assert len(blocks[0].modules) == 1
    assert len({block.name for block in blocks}) == len(blocks)


def test_blocks_of_a_small_network_are_its_layers():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    blocks = find_blocks(network, (8, 8))
    assert [(block.name, block.modules) for block in blocks] == [("3", ("3",)), ("0", ("0",))]


def test_deep_networks_are_cut_between_their_own_modules():
    names = [block.name for block in find_blocks(resnet18(num_classes=4), (32, 32))]
    assert names[0] == "fc"
    assert names[1] == "layer4.1"
    assert names[-1].startswith("conv1")


def test_runs_of_neighbours_differ_by_one_at_most():
    blocks = find_blocks(nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(11)], Head()), (4, 4))
    sizes = [len(block.modules) for block in blocks]
    assert sizes[0] == 1
    assert sum(sizes) == 12
    assert max(sizes[1:]) - min(sizes[1:]) <= 1
    assert blocks[-1].name == "0..1"


class Head(nn.Linear):
    def __init__(self):
        super().__init__(3, 2)

    def forward(self, activations):
        return super().forward(activations.mean((2, 3)))


class HeadFirst(nn.Module):
    """Registers its head before its trunk, and directly holds a weight."""

    def __init__(self):
        super().__init__()
        self.head = Head()
        self.trunk = nn.Conv2d(3, 3, 1)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images):
        return self.head(self.trunk(images * self.scale))


def test_the_order_is_that_of_the_forward_pass_not_of_registration():
    blocks = find_blocks(HeadFirst(), (4, 4))
    assert [block.modules for block in blocks] == [("head",), ("trunk",), ("",)]
    assert blocks[-1].name == "root"


def test_a_layer_that_is_never_called_is_reached_with_the_module_around_it():
    names = modules_of(find_blocks(narrow_networks.vit(4), (64, 64)))
    attention = "encoder.layers.encoder_layer_2.self_attention"
    assert names.index(f"{attention}.out_proj") - names.index(attention) in (-1, 1)


def test_a_network_without_weights_has_no_blocks():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert find_blocks(network, (4, 4)) == ()


def test_one_layer_is_one_block():
    assert [block.name for block in find_blocks(nn.Sequential(Head()), (4, 4))] == ["0"]


def test_the_network_is_left_unchanged_also_on_error():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2))
    for size, fits in (((8, 8), True), ((9, 9), False)):
        if fits:
            find_blocks(network, size)
        else:
            with pytest.raises(InputError, match="input size"):
                find_blocks(network, size)
        assert all(module.training for module in network.modules())
        assert all(parameter.requires_grad for parameter in network.parameters())
        assert not any(module._forward_pre_hooks for module in network.modules())
