"""A small network and images in memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import ectool

CLASSES = 4


class Net(nn.Module):
    """A convolution with batch normalisation, and a head on the mean of each map."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.head = nn.Linear(8, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).mean((2, 3)))


def network() -> Net:
    """Return the network with weights and statistics that matter."""
    generator = torch.Generator().manual_seed(0)
    net = Net()
    for parameter in net.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    net.features[1].running_mean.normal_(0, 0.3, generator=generator)
    net.features[1].running_var.uniform_(0.5, 2, generator=generator)
    return net


@pytest.fixture
def net() -> Net:
    return network()


@pytest.fixture
def wrapped(net: Net) -> ectool.Model:
    return ectool.wrap(net, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.fixture(scope="session")
def photos() -> Tensor:
    """Return 12 random images, uint8."""
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (12, 3, 16, 16), generator=generator, dtype=torch.uint8)


@pytest.fixture(scope="session")
def classes() -> Tensor:
    return torch.arange(12) % CLASSES
