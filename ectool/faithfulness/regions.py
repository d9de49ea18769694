"""Ranks of pixels and patches by relevance: the order in which they are changed."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from ectool.models.interpolation import upsample

Heatmaps = Float[Tensor, "n i j"]


def pixel_ranks(heatmaps: Heatmaps, size: tuple[int, int]) -> Int[Tensor, "n height width"]:
    """Rank the pixels of each image by relevance.

    Args:
        heatmaps: On any scale and at any resolution; upsampled bilinearly.
        size: (height, width) of the images.

    Returns:
        0 for the most relevant pixel, 1 for the next. Equal pixels are in row-major order, so a map
        of zeros orders them from top to bottom.
    """
    relevance = upsample(heatmaps.float(), size).flatten(1)
    order = relevance.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view(-1, *size)


def patch_ranks(
    heatmaps: Heatmaps, size: tuple[int, int], patch: int
) -> Int[Tensor, "n height width"]:
    """Rank square patches by their mean relevance.

    Args:
        heatmaps: On any scale and at any resolution; upsampled bilinearly.
        size: (height, width) of the images.
        patch: Side of the patches in pixels; at the right and lower edge they may be cut off.

    Returns:
        The rank of its patch for each pixel, 0 for the most relevant.
    """
    means = F.avg_pool2d(upsample(heatmaps.float(), size)[:, None], patch, ceil_mode=True)[:, 0]
    ranks = pixel_ranks(means, (means.shape[1], means.shape[2]))
    pixels = ranks.repeat_interleave(patch, 1).repeat_interleave(patch, 2)
    return pixels[:, : size[0], : size[1]]
