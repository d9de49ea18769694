"""The transformer of the images in docs/explainers.md: `import:docs.networks:small_vit`."""

from __future__ import annotations

from torch import nn
from torchvision.models import VisionTransformer


def small_vit(num_classes: int) -> nn.Module:
    """Return a vision transformer for images of 32 pixels."""
    return VisionTransformer(
        image_size=32,
        patch_size=4,
        num_layers=4,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=128,
        num_classes=num_classes,
    )
