"""Networks of torchvision's zoo that are mostly weights, with far fewer of them."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import VisionTransformer
from torchvision.models.vgg import cfgs, make_layers


class VGG(nn.Module):
    """As torchvision's, all of its convolutions, with 64 instead of 4096 units behind them."""

    def __init__(self, letter: str, num_classes: int, *, batch_norm: bool = False) -> None:
        super().__init__()
        self.features = make_layers(cfgs[letter], batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            *(nn.Linear(512 * 7 * 7, 64), nn.ReLU(True), nn.Dropout()),
            *(nn.Linear(64, 64), nn.ReLU(True), nn.Dropout()),
            nn.Linear(64, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(images)).flatten(1))


def vgg11(num_classes: int) -> nn.Module:
    return VGG("A", num_classes)


def vgg16_bn(num_classes: int) -> nn.Module:
    return VGG("D", num_classes, batch_norm=True)


def vit(num_classes: int) -> nn.Module:
    """Make a ViT-Ti/16 of four layers for images of 64 pixels."""
    return VisionTransformer(64, 16, 4, 3, 192, 768, num_classes=num_classes)
