"""Bring heatmaps from a layer's resolution to that of the images."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def upsample(
    heatmaps: Float[Tensor, "n h w"], size: tuple[int, int]
) -> Float[Tensor, "n height width"]:
    """Interpolate bilinearly, pixel centres aligned (``align_corners=False``).

    Args:
        heatmaps: On any scale.
        size: (height, width) of the result in pixels.

    Returns:
        Heatmaps on the same scale; values stay within the range of each map.
    """
    return F.interpolate(heatmaps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
