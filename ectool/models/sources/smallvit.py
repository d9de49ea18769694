"""A vision transformer for small images that a thousand images can train from scratch."""

from __future__ import annotations

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

GRID = 8
"""Tokens on each side of an image of 32 or 64 pixels."""
LAYERS, HEADS, WIDTH, HIDDEN = 4, 4, 96, 192
STEM = (24, 48, 48, 96)
STRIDED = {2: (0, 3), 3: (0, 1, 3)}
"""Convolutions of stride 2, by how often the image is halved."""
_LARGEST_PATCH = 8


class SmallViT(nn.Module):
    """Classify images with 4 layers of attention between patches, and the mean of the tokens.

    The layers are torchvision's (Dosovitskiy et al. 2021). Deviations: four convolutions make the
    patches (Xiao et al., "Early Convolutions Help Transformers See Better", 2021), and the tokens
    are averaged (Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022), so there is no
    class token, and only a mean and a linear map follow ``encoder``. Images of 32 pixels have
    patches of 4 pixels, those of 64 pixels patches of 8: 8 x 8 tokens each.

    Args:
        classes: Number of classes.
        size: (height, width) of the images in pixels.

    Raises:
        ValueError: The images are not square, or their side is no multiple of the patch.
    """

    def __init__(self, classes: int, size: tuple[int, int]) -> None:
        super().__init__()
        from torchvision.models.vision_transformer import Encoder

        halvings = 2 if size[0] < GRID * _LARGEST_PATCH else 3
        if size[0] != size[1] or size[0] % 2**halvings:
            raise ValueError(f"not square, or no multiple of {2**halvings} pixels")
        self.stem = _stem(halvings)
        tokens = (size[0] >> halvings) ** 2
        self.encoder = Encoder(
            tokens, LAYERS, HEADS, WIDTH, HIDDEN, 0.0, 0.0, partial(nn.LayerNorm, eps=1e-6)
        )
        self.head = nn.Linear(WIDTH, classes)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n c"]:
        """Return logits.

        Args:
            images: Normalised images of the size of the network.

        Returns:
            One logit per class.
        """
        tokens = self.stem(images).flatten(2).transpose(1, 2)
        logits: Float[Tensor, "n c"] = self.head(self.encoder(tokens).mean(1))
        return logits


def _stem(halvings: int) -> nn.Sequential:
    """Return four convolutions, some of stride 2, that halve the image several times."""
    stem, channels = nn.Sequential(), 3
    for number, width in enumerate(STEM):
        stride = 2 if number in STRIDED[halvings] else 1
        stem.append(nn.Conv2d(channels, width, 3, stride, padding=1, bias=False))
        stem.append(nn.BatchNorm2d(width))
        stem.append(nn.ReLU())
        channels = width
    stem.append(nn.Conv2d(channels, WIDTH, 1))
    return stem
