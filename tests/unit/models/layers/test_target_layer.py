from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Classifier
from ectool.models.layers.target_layer import (
    TargetLayer,
    find_target_layer,
    grid_layout,
    named_target_layer,
    token_grid,
)
from ectool.models.registry import create
from ectool.models.sources.zoo import architectures

CLASSES = tuple("abcde")

EXPECTED = {
    "smallcnn": ("features", "nchw"),
    "resnet18": ("layer4", "nchw"),
    "vgg16_bn": ("features", "nchw"),
    "mobilenet_v2": ("features", "nchw"),
    "mobilenet_v3_small": ("features", "nchw"),
    "densenet121": ("features", "nchw"),
    "efficientnet_b0": ("features", "nchw"),
    "convnext_tiny": ("features", "nchw"),
    "googlenet": ("inception5b", "nchw"),
    "squeezenet1_1": ("classifier.2", "nchw"),
    "regnet_y_400mf": ("trunk_output", "nchw"),
    "shufflenet_v2_x0_5": ("conv5", "nchw"),
    "vit_b_16": ("encoder.layers.encoder_layer_11.ln_1", "cls_tokens"),
    "swin_t": ("norm", "nhwc"),
}

FAMILIES = {
    "alexnet": "features",
    "convnext": "features",
    "densenet": "features",
    "efficientnet": "features",
    "googlenet": "inception5b",
    "inception": "Mixed_7c",
    "maxvit": "blocks.3",
    "mnasnet": "layers",
    "mobilenet": "features",
    "regnet": "trunk_output",
    "res": "layer4",
    "shufflenet": "conv5",
    "smallcnn": "features",
    "squeezenet": "classifier.2",
    "swin": "norm",
    "vgg": "features",
    "vit_b": "encoder.layers.encoder_layer_11.ln_1",
    "vit_h": "encoder.layers.encoder_layer_31.ln_1",
    "vit_l": "encoder.layers.encoder_layer_23.ln_1",
    "wide_resnet": "layer4",
}


@cache
def known(architecture: str) -> Classifier:
    """Make a network once for all tests that only look at it."""
    size = (32, 32) if architecture == "smallcnn" else (64, 64)
    return create(architecture, CLASSES, seed=0, input_size=size)


@pytest.mark.parametrize("architecture", EXPECTED)
def test_the_layer_the_field_would_choose(architecture):
    model = known(architecture)
    assert (model.target_layer.name, model.target_layer.layout) == EXPECTED[architecture]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", architectures())
def test_every_architecture_has_a_layer(architecture):
    side = {"maxvit_t": 224, "inception_v3": 160, "vit_h_14": 56}.get(architecture, 96)
    model = create(architecture, CLASSES, seed=0, input_size=(side, side))
    (name,) = (FAMILIES[family] for family in FAMILIES if architecture.startswith(family))
    assert model.target_layer.name == name


def test_proportions_of_the_image_decide_the_grid():
    wide = (64, 160)
    assert find_target_layer(known("resnet18").network, wide) == TargetLayer("layer4", "nchw")
    assert find_target_layer(known("swin_t").network, wide) == TargetLayer("norm", "nhwc")


def test_a_single_position_is_no_grid():
    assert find_target_layer(known("resnet18").network, (32, 32)).name == "layer3"


def test_layers_called_twice_are_skipped():
    relu = nn.ReLU()
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), relu, nn.BatchNorm2d(4), relu, nn.Flatten(), nn.Linear(144, 5)
    )
    assert find_target_layer(network, (8, 8)).name == "2"


@pytest.mark.parametrize("passing", [nn.Identity(), nn.Dropout(0.5), nn.MaxPool2d(2, 1, 0)])
def test_passing_and_pooling_layers_are_skipped(passing):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), passing, nn.Flatten(), nn.LazyLinear(5))
    network(torch.rand(1, 3, 8, 8))
    assert find_target_layer(network, (8, 8)).name == "0"


def test_layers_without_influence_on_the_logits_are_skipped():
    class Corner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = nn.Conv2d(3, 4, 3)
            self.corner = nn.Conv2d(4, 4, 1)
            self.aside = nn.Conv2d(4, 4, 1)
            self.head = nn.Linear(4, 5)

        def forward(self, images):
            shared = self.trunk(images)
            corner = self.corner(shared)[:, :, 0, 0]
            self.aside(shared)
            return self.head(corner + shared.mean((2, 3)))

    assert find_target_layer(Corner(), (8, 8)).name == "trunk"


def test_a_network_without_feature_map_is_refused():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    with pytest.raises(InputError, match="feature map at input size 8x8"):
        find_target_layer(network, (8, 8))


def test_weights_that_are_all_zero_hide_no_layer():
    model = create("smallcnn", CLASSES, seed=0)
    nn.init.zeros_(model.network.head.weight)
    assert find_target_layer(model.network, (32, 32)).name == "features"
    assert not model.network.head.weight.any()


def test_the_network_is_unchanged():
    network = create("smallcnn", CLASSES, seed=0).network
    network.features[1].eval()
    network.head.bias.requires_grad_(False)
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    random = torch.get_rng_state()
    with torch.inference_mode():
        find_target_layer(network, (32, 32))
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.head.bias.requires_grad
    assert not any(module._forward_hooks for module in network.modules())
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("name", ["layer3", "layer4.1.conv2", "maxpool"])
def test_layers_by_name(name):
    model = create("resnet18", CLASSES, seed=0, input_size=(64, 64), layer=name)
    assert model.target_layer == TargetLayer(name, "nchw")


@pytest.mark.parametrize(
    ("architecture", "name", "message"),
    [
        ("resnet18", "layer5", "got 'layer5'; try layer"),
        ("resnet18", "", "got ''; try"),
        ("resnet18", "fc", "an output with a spatial grid, got shape 1x5"),
        ("resnet18", "avgpool", "spatial grid, got shape 1x512x1x1"),
        ("resnet18", "layer4.1.relu", "one output per forward pass, got 2 outputs"),
        (
            "vit_b_16",
            "encoder.ln",
            "influence the logits, got no gradient at any position; "
            "use encoder.layers.encoder_layer_11.ln_1 or encoder.layers.encoder_layer_10 or ",
        ),
        ("swin_t", "avgpool", "shape 1x768x1x1; use norm or features or features.7"),
    ],
)
def test_layers_that_cannot_be_used(architecture, name, message):
    with pytest.raises(InputError, match=message):
        named_target_layer(known(architecture).network, (64, 64), name)


def test_unused_modules_cannot_be_used():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 5))
    network.add_module("spare", nn.ModuleList([nn.Conv2d(3, 3, 1)]))
    network.spare.forward = lambda logits: logits
    with pytest.raises(InputError, match=r"target layer spare.0: .* got 0 outputs"):
        named_target_layer(network, (8, 8), "spare.0")


@pytest.mark.parametrize(
    ("shape", "size", "layout"),
    [
        ((1, 64, 7, 7), (224, 224), "nchw"),
        ((1, 7, 7, 64), (224, 224), "nhwc"),
        ((1, 7, 7, 7), (224, 224), "nchw"),
        ((1, 8, 7, 7), (224, 224), "nchw"),
        ((1, 64, 6, 12), (192, 384), "nchw"),
        ((1, 6, 12, 12), (192, 384), "nhwc"),
        ((1, 64, 7, 13), (200, 400), "nchw"),
        ((1, 64, 1, 1), (224, 224), None),
        ((1, 64, 1, 49), (224, 224), None),
        ((1, 512), (224, 224), None),
        ((1, 49, 64), (224, 224), "tokens"),
        ((1, 50, 64), (224, 224), "cls_tokens"),
        ((1, 72, 64), (192, 384), "tokens"),
        ((1, 73, 64), (192, 384), "cls_tokens"),
        ((1, 51, 64), (224, 224), "cls_tokens"),
        ((1, 54, 64), (224, 224), "cls_tokens"),
        ((1, 55, 64), (224, 224), None),
        ((1, 201, 64), (224, 224), "cls_tokens"),
        ((1, 1, 64), (224, 224), None),
        ((1, 2, 64), (224, 224), None),
    ],
)
def test_grid_layout(shape, size, layout):
    assert grid_layout(shape, size) == layout


@pytest.mark.parametrize("size", [(224, 224), (192, 384), (384, 192), (96, 160)])
def test_token_grid_agrees_with_trying_every_shape(size):
    for tokens in range(1, 300):
        fits = [
            (rows, tokens // rows)
            for rows in range(1, tokens + 1)
            if tokens % rows == 0 and rows * size[1] == tokens // rows * size[0]
        ]
        assert token_grid(tokens, size) == (fits[0] if fits else None)


def test_windows_on_the_batch_axis_are_no_grid():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.inside = nn.Conv2d(3, 4, 1), nn.LayerNorm(4)
            self.head = nn.Linear(4, 5)

        def forward(self, images):
            grid = self.convolution(images).permute(0, 2, 3, 1)
            rows = grid.unflatten(1, (-1, 4)).unflatten(3, (-1, 4))
            windows = self.inside(rows.transpose(2, 3).flatten(0, 2))
            return self.head(windows.unflatten(0, (len(images), -1)).mean((1, 2, 3)))

    network = Windows()
    assert find_target_layer(network, (8, 8)) == TargetLayer("convolution", "nchw")
    with pytest.raises(InputError, match="spatial grid, got shape 4x4x4x4; use convolution"):
        named_target_layer(network, (8, 8), "inside")


def test_attention_is_no_feature_map():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches, self.norm = nn.Conv2d(3, 16, 4, stride=4), nn.LayerNorm(16)
            self.to_keys, self.attend = nn.Linear(16, 16), nn.Softmax(-1)
            self.head = nn.Linear(16, 5)

        def forward(self, images):
            tokens = self.norm(self.patches(images).flatten(2).transpose(1, 2))
            keys = self.to_keys(tokens)
            weights = self.attend((keys @ keys.transpose(1, 2))[:, None])[:, 0]
            return self.head((weights @ tokens).mean(1))

    assert find_target_layer(Attention(), (16, 16)) == TargetLayer("norm", "tokens")


@pytest.mark.parametrize("prefix", range(1, 6))
def test_to_nchw_omits_every_token_before_the_grid(prefix):
    tokens = torch.arange(2 * 6 * 5).reshape(2, 6, 5).float()
    behind = torch.cat([torch.full((2, prefix, 5), -1.0), tokens], 1)
    grid = TargetLayer("x", "tokens").to_nchw(tokens, (64, 96))
    assert torch.equal(TargetLayer("x", "cls_tokens").to_nchw(behind, (64, 96)), grid)


@pytest.mark.parametrize("layout", ["nchw", "nhwc", "tokens", "cls_tokens"])
def test_to_nchw_moves_each_value_to_its_place(layout):
    grid = torch.arange(2 * 5 * 2 * 3).reshape(2, 5, 2, 3).float()
    activations = {
        "nchw": grid,
        "nhwc": torch.stack([grid[:, c] for c in range(5)], -1),
        "tokens": torch.stack([grid[:, :, i, j] for i in range(2) for j in range(3)], 1),
    }
    activations["cls_tokens"] = torch.cat([torch.full((2, 1, 5), -1.0), activations["tokens"]], 1)
    assert torch.equal(TargetLayer("x", layout).to_nchw(activations[layout], (64, 96)), grid)


def test_to_nchw_refuses_tokens_without_a_grid():
    with pytest.raises(InputError, match="proportions of 64x96, got 7 tokens"):
        TargetLayer("x", "tokens").to_nchw(torch.ones(2, 7, 5), (64, 96))
    with pytest.raises(InputError, match="proportions of 64x96, got 6 tokens"):
        TargetLayer("x", "cls_tokens").to_nchw(torch.ones(2, 6, 5), (64, 96))
