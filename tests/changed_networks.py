"""The small network, and changes of it that hide its gradients or its logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ectool.models.registry import create


class Changed(nn.Module):
    """A network whose input is rounded, or whose logits are multiplied or drawn anew."""

    def __init__(self, factor: float = 1.0, levels: int = 0, noise: float = 0.0) -> None:
        super().__init__()
        self.network = create("smallcnn", tuple("0123456789"), seed=0, input_size=(32, 32)).network
        self.factor, self.levels, self.noise = factor, levels, noise

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        if self.levels:
            images = (images * self.levels).round() / self.levels
        logits: Tensor = self.network(images) * self.factor
        return logits + self.noise * torch.randn_like(logits) if self.noise else logits


def plain() -> nn.Module:
    return Changed()


def small() -> nn.Module:
    return Changed(factor=1e-3)


def large() -> nn.Module:
    return Changed(factor=1e6)


def rounded() -> nn.Module:
    return Changed(levels=2)


def noisy() -> nn.Module:
    return Changed(noise=0.02)


class Softmax(Changed):
    """A network that returns probabilities."""

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities."""
        return super().forward(images).softmax(1)


def probable() -> nn.Module:
    return Softmax()
