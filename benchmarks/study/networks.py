"""A network of the study that is no network of ectool, sized for images of 32 to 64 pixels."""

from __future__ import annotations

from torch import nn
from torchvision.models import MobileNetV2


def mobilenet(num_classes: int) -> nn.Module:
    """Return MobileNetV2 of half width with four stages, so that a grid of 8 x 8 is left."""
    blocks = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 2, 1]]
    network = MobileNetV2(num_classes, 0.5, blocks, dropout=0.0)
    network.features[0][0].stride = (1, 1)
    return network
