"""Small classifiers of every kind of head and layout, and what a user would leave on a model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.layers.target_layer import Layout

CHANNELS, CLASSES, SIZE = 6, 5, (8, 12)

Wrap = Callable[[nn.Module, nn.Module, Layout], Classifier]


class Cut(nn.Module):
    """A network in two halves, so that an oracle can run them one after the other."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.trunk(images))


class Arrange(nn.Module):
    """A convolution whose output has the given memory format."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1)
        self.layout = layout

    def forward(self, images: Tensor) -> Tensor:
        grid = self.convolution(images)
        if self.layout == "nchw":
            return grid
        if self.layout == "nhwc":
            return grid.permute(0, 2, 3, 1).contiguous()
        tokens = grid.flatten(2).transpose(1, 2)
        if self.layout == "tokens":
            return tokens
        return torch.cat([tokens.mean(1, keepdim=True), tokens], 1)


class Pool(nn.Module):
    """Average over the axis or axes that count positions."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.axes = {"nchw": (2, 3), "nhwc": (1, 2)}.get(layout, (1,))

    def forward(self, activations: Tensor) -> Tensor:
        return activations.mean(self.axes)


class InPlace(nn.Module):
    """A kinked head that overwrites its input."""

    def forward(self, activations: Tensor) -> Tensor:
        return nn.functional.leaky_relu_(activations.mul_(2), 0.3)


def head(kind: str, layout: Layout) -> nn.Module:
    linear = nn.Linear(CHANNELS, CLASSES)
    if kind == "pooled":
        return nn.Sequential(Pool(layout), nn.Dropout(0.5), linear)
    if kind == "in-place":
        return nn.Sequential(InPlace(), Pool(layout), linear)
    hidden = nn.Sequential(nn.Linear(CHANNELS, CHANNELS), nn.Tanh(), nn.LayerNorm(CHANNELS))
    return nn.Sequential(Pool(layout), hidden, linear)


def classifier(network: nn.Module, layout: Layout) -> Classifier:
    spec = ModelSpec(
        architecture="tiny",
        class_names=tuple("abcde"[:CLASSES]),
        input_size=SIZE,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        target_layer="trunk",
        layout=layout,
    )
    return Classifier(network, spec)


@pytest.fixture
def wrap() -> Wrap:
    """Make a classifier of a trunk and a head; heatmaps are drawn between the two."""
    return lambda trunk, head, layout="nchw": classifier(Cut(trunk, head), layout)


@pytest.fixture
def make() -> Callable[..., Classifier]:
    """Make a classifier with a kind of head, a layout and fixed weights."""

    def build(kind: str, layout: Layout = "nchw") -> Classifier:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return classifier(Cut(Arrange(layout), head(kind, layout)), layout)

    return build


@pytest.fixture
def images() -> Tensor:
    return torch.rand(7, 3, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def targets() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 0, 2])
