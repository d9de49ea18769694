"""A small convolutional network for images of 32 pixels, fast on a CPU."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

WIDTHS = (24, 32, 64, 96)
STRIDES = (2, 1, 2, 1)


class SmallCNN(nn.Module):
    """Classify images with four convolutions, global average pooling and a linear head.

    Only a mean and a linear map follow ``features``, so Grad-CAM at ``features`` has a closed form.
    Images of 32 pixels give feature maps of 8 x 8.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential()
        channels = 3
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            self.features.append(nn.Conv2d(channels, width, 3, stride, padding=1, bias=False))
            self.features.append(nn.BatchNorm2d(width))
            self.features.append(nn.ReLU())
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


def pooled_logits(maps: Float[Tensor, "n k i j"], head: nn.Linear) -> Float[Tensor, "n c"]:
    """Return the logits of a linear head on the mean of each map."""
    # The gradient of this mean is channels last, like all activations. That of a pooling layer is
    # not, and operations on both memory formats are ten times slower.
    logits: Float[Tensor, "n c"] = head(maps.permute(0, 2, 3, 1).flatten(1, 2).mean(1))
    return logits
