"""Networks of the study besides smallcnn, sized for images of 32 to 64 pixels."""

from __future__ import annotations

from torch import nn
from torchvision.models import MobileNetV2, VisionTransformer
from torchvision.models.resnet import BasicBlock

WIDTHS = (16, 32, 64)


def resnet(num_classes: int) -> nn.Module:
    """Return ResNet-14 for small images: two blocks of 16, 32 and 64 channels (He et al. 2016)."""
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)]
    before = WIDTHS[0]
    for width in WIDTHS:
        stride = 1 if width == before else 2
        shortcut = nn.Conv2d(before, width, 1, stride, bias=False)
        reduce = None if stride == 1 else nn.Sequential(shortcut, nn.BatchNorm2d(width))
        layers += [BasicBlock(before, width, stride, reduce), BasicBlock(width, width)]
        before = width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, num_classes)
    )


def mobilenet(num_classes: int) -> nn.Module:
    """Return MobileNetV2 of half width with four blocks less and an eighth of the stride."""
    blocks = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 2, 2], [6, 64, 2, 1]]
    network = MobileNetV2(num_classes, 0.5, blocks, dropout=0.0)
    network.features[0][0].stride = (1, 1)
    return network


def vit(num_classes: int, side: int = 32) -> nn.Module:
    """Return a vision transformer of four layers that sees 8 x 8 patches of an image."""
    return VisionTransformer(
        side,
        side // 8,
        num_layers=4,
        num_heads=4,
        hidden_dim=96,
        mlp_dim=192,
        num_classes=num_classes,
    )


def vit64(num_classes: int) -> nn.Module:
    """Return the same for images of 64 pixels."""
    return vit(num_classes, 64)
