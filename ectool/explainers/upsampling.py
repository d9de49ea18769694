"""Bring heatmaps from one resolution to another."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ectool.models.interpolation import bilinear


def upsample(
    heatmaps: Float[Tensor, "n *k h w"], size: tuple[int, int]
) -> Float[Tensor, "n *k height width"]:
    """Interpolate bilinearly, pixel centres aligned (``align_corners=False``).

    Args:
        heatmaps: On any scale.
        size: (height, width) of the result in pixels.

    Returns:
        Heatmaps on the same scale; each value lies between those of its neighbours, so constant
        maps stay constant, bit by bit.
    """
    resized = bilinear(heatmaps.reshape(-1, *heatmaps.shape[-2:]), size)
    return resized.view(*heatmaps.shape[:-2], *size)


def average_cells(
    heatmaps: Float[Tensor, "n *k h w"], size: tuple[int, int]
) -> Float[Tensor, "n *k height width"]:
    """Average over the cells of a coarser grid.

    Args:
        heatmaps: On any scale.
        size: (height, width) of the grid; where it does not divide the map, cells overlap by one.

    Returns:
        Heatmaps on the same scale.
    """
    flat = heatmaps.reshape(-1, 1, *heatmaps.shape[-2:])
    return F.adaptive_avg_pool2d(flat, size).view(*heatmaps.shape[:-2], *size)
