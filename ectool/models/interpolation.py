"""Heatmaps at other resolutions, in torch: bilinear upsampling, and means over coarser cells.

``ectool.metrics.heatmaps`` upsamples stored heatmaps by the same rule in numpy, as metrics do not
import torch; tests compare both.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def upsample(
    heatmaps: Float[Tensor, "n *k h w"], size: tuple[int, int]
) -> Float[Tensor, "n *k height width"]:
    """Interpolate heatmaps bilinearly, pixel centres aligned (``align_corners=False``).

    The weights of the four neighbours add up to 1 only up to rounding, so equal neighbours could
    give unequal pixels. Each pixel is therefore clipped to the range of its neighbours: constant
    heatmaps stay constant, bit by bit.

    Args:
        heatmaps: Finite, on any scale.
        size: (height, width) of the result in pixels.

    Returns:
        Heatmaps of the same type and on the same scale.
    """
    maps = heatmaps.reshape(-1, *heatmaps.shape[-2:])
    resized = F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    places = [_first_neighbour(maps.shape[axis], size[axis - 1], maps.device) for axis in (1, 2)]
    # The ranges are computed on the small grid, which is cheaper, and then spread.
    pairs = F.pad(maps[:, None], (0, 1, 0, 1), mode="replicate")[:, 0].unfold(1, 2, 1)
    pairs = pairs.unfold(2, 2, 1)
    low, high = (
        found.index_select(1, places[0]).index_select(2, places[1])
        for found in (pairs.amin((-2, -1)), pairs.amax((-2, -1)))
    )
    return torch.clamp(resized, low, high).view(*heatmaps.shape[:-2], *size)


def average_cells(
    heatmaps: Float[Tensor, "n *k h w"], size: tuple[int, int]
) -> Float[Tensor, "n *k height width"]:
    """Average heatmaps over the cells of a coarser grid.

    Args:
        heatmaps: On any scale.
        size: (height, width) of the grid; where it does not divide the heatmap, cells overlap by
            one pixel.

    Returns:
        Heatmaps on the same scale.
    """
    flat = heatmaps.reshape(-1, 1, *heatmaps.shape[-2:])
    return F.adaptive_avg_pool2d(flat, size).view(*heatmaps.shape[:-2], *size)


def _first_neighbour(source: int, target: int, device: torch.device) -> Tensor:
    """Return the source position before each target position; the other neighbour is the next."""
    # (i + 0.5) s / t - 0.5 in integers, so that rounding cannot select other neighbours.
    at = (2 * torch.arange(target, device=device) + 1) * source - target
    return torch.div(at.clamp(min=0), 2 * target, rounding_mode="floor").clamp(max=source - 1)
