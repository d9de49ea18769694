"""A tiny network of everything that convolutional networks with ReLUs are made of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ectool.models.classifier import Classifier, ModelSpec

SIZE, CLASSES = (8, 12), 5


class Rectified(nn.Module):
    """Biases, batch normalisation, a residual sum, a concatenation, both poolings.

    Args:
        activation: Stands for every ReLU.
    """

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.stem_norm = nn.BatchNorm2d(4)
        self.block = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.block_norm = nn.BatchNorm2d(4)
        self.branch = nn.Conv2d(4, 3, 1)
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(7, 6)
        self.head = nn.Linear(6, CLASSES)
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        grid = self.activation(self.stem_norm(self.stem(images)))
        sums = self.block_norm(self.block(grid))
        sums += grid
        sums = self.activation(sums)
        grid = self.pool(torch.cat([sums, self.activation(self.branch(sums))], 1))
        return self.head(self.activation(self.hidden(grid.mean((2, 3)))))


def classifier(network: nn.Module, target_layer: str = "stem_norm") -> Classifier:
    """Give every batch normalisation something to do, and wrap the network in training mode."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.3, 0.3, generator=generator)
            nn.init.uniform_(module.running_var, 0.2, 2, generator=generator)
            nn.init.normal_(module.weight, generator=generator)
            nn.init.uniform_(module.bias, -0.2, 0.5, generator=generator)
    spec = ModelSpec(
        architecture="tiny",
        class_names=tuple("abcde"[:CLASSES]),
        input_size=SIZE,
        mean=(0.5, 0.4, 0.3),
        std=(0.25, 0.2, 0.3),
        target_layer=target_layer,
        layout="nchw",
    )
    return Classifier(network, spec).train()


def rectified(activation: Callable[[Tensor], Tensor] = torch.relu_) -> Classifier:
    """Make a classifier of fixed weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return classifier(Rectified(activation))
