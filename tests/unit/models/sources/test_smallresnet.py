from __future__ import annotations

import pytest
import torch
from torch import nn

from ectool.models.layers.target_layer import find_target_layer
from ectool.models.sources.smallresnet import Block, SmallResNet


@pytest.fixture(params=[32, 64])
def model(request) -> SmallResNet:
    torch.manual_seed(0)
    model = SmallResNet(10, (request.param, request.param)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model


def side_of(model: SmallResNet) -> int:
    return 32 * model.features[0].stride[0]


def test_maps_are_eight_by_eight_and_not_negative(model):
    maps = model.features(torch.rand(2, 3, side_of(model), side_of(model)))
    assert maps.shape == (2, 64, 8, 8)
    assert maps.min() >= 0


def test_it_has_fourteen_layers_with_weights(model):
    kernels = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(kernels) + 1 == 14
    assert 150_000 < sum(p.numel() for p in model.parameters()) < 200_000


def test_a_block_adds_the_shortcut():
    torch.manual_seed(1)
    block, maps = Block(4, 6, 2).eval(), torch.randn(2, 4, 6, 6)
    inner = torch.nn.functional.conv2d(maps, block.conv1.weight, stride=2, padding=1)
    inner = (inner / (1 + block.norm1.eps) ** 0.5).relu()
    inner = torch.nn.functional.conv2d(inner, block.conv2.weight, padding=1)
    outer = torch.einsum("oc,ncij->noij", block.shortcut[0].weight[..., 0, 0], maps[..., ::2, ::2])
    expected = ((inner + outer) / (1 + block.norm2.eps) ** 0.5).relu()
    torch.testing.assert_close(block(maps), expected)


def test_the_target_layer_is_the_whole_trunk(model):
    target = find_target_layer(model, (side_of(model), side_of(model)))
    assert (target.name, target.layout) == ("features", "nchw")


def test_logits_do_not_depend_on_the_batch_or_the_memory_format(model):
    images = torch.rand(3, 3, side_of(model), side_of(model))
    whole = model(images)
    torch.testing.assert_close(whole, torch.cat([model(image[None]) for image in images]))
    last = model.to(memory_format=torch.channels_last)
    torch.testing.assert_close(whole, last(images.contiguous(memory_format=torch.channels_last)))
