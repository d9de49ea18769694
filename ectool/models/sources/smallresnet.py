"""A residual network for small images: no pooling at the start, so its maps keep a grid."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ectool.models.sources.smallcnn import pooled_logits

WIDTHS = (16, 32, 64)
BLOCKS = 2
SIDE = 32
"""Images of this side keep their resolution in the stem; larger ones are reduced to about it."""

Maps = Float[Tensor, "n c h w"]


class Block(nn.Module):
    """A residual block of two convolutions (He et al. 2016).

    Args:
        channels: Channels of the input.
        width: Channels of the output.
        stride: Stride of the first convolution; where it is not 1, the shortcut is a convolution.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels != width:
            self.shortcut.append(nn.Conv2d(channels, width, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(width))
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, maps: Maps) -> Maps:
        """Return the maps of the next block."""
        inner = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(maps)))))
        outer: Maps = self.relu2(inner + self.shortcut(maps))
        return outer


class SmallResNet(nn.Module):
    """Classify images with a ResNet of 14 layers for small images (He et al. 2016, section 4.2).

    Deviations from the network for CIFAR-10: two blocks a stage, convolutions as shortcuts, and a
    stem with stride for images of more than 32 pixels. Feature maps are 8 x 8 at 32 and at 64
    pixels. Only a mean and a linear map follow ``features``.

    Args:
        classes: Number of classes.
        size: (height, width) of the images in pixels.
    """

    def __init__(self, classes: int, size: tuple[int, int]) -> None:
        super().__init__()
        stride = max(1, min(size) // SIDE)
        self.features = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(),
        )
        channels = WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            for block in range(BLOCKS):
                self.features.append(Block(channels, width, 2 if stage and not block else 1))
                channels = width
        self.head = nn.Linear(channels, classes)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return logits.

        Args:
            images: Normalised images.

        Returns:
            One logit per class.
        """
        return pooled_logits(self.features(images), self.head)
