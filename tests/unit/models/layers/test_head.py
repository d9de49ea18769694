from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.layers.head import head_layers
from ectool.models.registry import create

CLASSES = tuple("abcde")


def classifier(network: nn.Module) -> Classifier:
    spec = ModelSpec("mine", CLASSES, (4, 4), (0.5,) * 3, (0.5,) * 3, None, None)
    return Classifier(network, spec)


class TwoHeads(nn.Module):
    """Average the logits of two heads, as a distilled transformer does, behind five tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 3))
        self.norm = nn.LayerNorm(3)
        self.first, self.second = nn.Linear(3, 5), nn.Linear(3, 5)

    def forward(self, images: Tensor) -> Tensor:
        patches = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)).flatten(2).transpose(1, 2)
        tokens = self.norm(torch.cat([self.token.expand(len(images), 1, 3), patches], 1))
        return (self.first(tokens[:, 0]) + self.second(tokens[:, 1])) / 2


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("smallcnn", "head"),
        ("resnet18", "fc"),
        ("squeezenet1_1", "classifier.1"),
        ("convnext_tiny", "classifier.2"),
        ("mobilenet_v3_small", "classifier.3"),
        ("import:narrow_networks:vit", "heads.head"),
    ],
)
def test_heads_of_known_networks(architecture, head):
    side = 32 if architecture == "smallcnn" else 64
    model = create(architecture, CLASSES, seed=0, input_size=(side, side))
    assert head_layers(model) == {head}
    assert model.training


def test_two_heads_are_found_but_not_tokens_or_weights_of_the_root():
    assert head_layers(classifier(TwoHeads())) == {"first", "second"}


def test_layers_as_wide_as_the_classes_are_not_the_head():
    # layer4 of ResNet-18 puts out 512 channels, as many as there are classes here.
    model = create("resnet18", tuple(map(str, range(512))), seed=0, input_size=(64, 64))
    assert head_layers(model) == {"fc"}


class Scaled(nn.Module):
    """Compare normalised features with prototypes, as CLIP does; both lie in the root."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(48, 5)
        self.token = nn.Parameter(torch.zeros(5))
        self.prototypes = nn.Parameter(torch.randn(5, 5))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images: Tensor) -> Tensor:
        features = self.body(images.flatten(1)) + self.token
        return self.scale * (nn.functional.normalize(features) @ self.prototypes.T)


def test_weights_in_the_root_are_named_by_themselves():
    assert head_layers(classifier(Scaled())) == {"prototypes", "scale"}


class PooledMap(nn.Module):
    """Average a map of logits, normalised and squashed, as fully convolutional networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.norm = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 5, 1), nn.BatchNorm2d(5)

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.head(self.body(images).relu())).mean((2, 3)).softmax(1)


def test_what_comes_after_the_head_belongs_to_it():
    assert head_layers(classifier(PooledMap())) == {"head", "norm"}


class WithPrior(nn.Module):
    """Add a row of log-frequencies to the logits of a linear layer as wide as the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(48, 5), nn.Linear(5, 5)
        self.prior = nn.Parameter(torch.zeros(1, 5))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images.flatten(1)).relu()) + self.prior


def test_a_row_that_is_added_hides_no_head():
    assert head_layers(classifier(WithPrior())) == {"head", "prior"}


class Detached(nn.Module):
    """Layers after a body without gradients."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body, self.layers = nn.Linear(48, 5), nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(self.body(images.flatten(1)).detach())


def test_behind_a_detached_body_one_layer_is_the_head_and_two_are_refused():
    assert head_layers(classifier(Detached(nn.Linear(5, 5)))) == {"layers.0"}
    two = Detached(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    with pytest.raises(
        InputError, match="got no gradients, and several layers that may be its head"
    ):
        head_layers(classifier(two))


def test_a_parametrised_head_and_one_behind_a_frozen_body():
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 5))
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.ReLU(), normed)
    assert head_layers(classifier(network)) == {"3"}
    for parameter in network[1].parameters():
        parameter.requires_grad_(False)
    assert head_layers(classifier(network)) == {"3"}
    assert [p.requires_grad for p in network.parameters()] == [False, False, True, True, True]


@pytest.mark.parametrize(
    ("network", "got"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 7), nn.Softmax(1)), "1 with 7"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "none"),
    ],
)
def test_networks_without_such_a_layer_are_refused(network, got):
    with pytest.raises(InputError, match=f"head of mine: .* with 5 outputs, got {got};"):
        head_layers(classifier(network))
