"""Bilinear interpolation that invents no differences."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def bilinear(
    maps: Float[Tensor, "n h w"], size: tuple[int, int]
) -> Float[Tensor, "n height width"]:
    """Interpolate maps bilinearly, pixel centres aligned (``align_corners=False``).

    The weights of four neighbours add up to one only up to rounding, so that equal neighbours
    would give unequal pixels. Each pixel is therefore held between the least and the greatest of
    its neighbours: what is constant stays constant, bit by bit.

    Args:
        maps: Finite, on any scale.
        size: (height, width) of the result in pixels.

    Returns:
        Maps of the same type.
    """
    resized = F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    least, greatest = maps, maps
    for axis in (1, 2):
        low, high = _neighbours(maps.shape[axis], size[axis - 1], maps.device)
        first, second = (least.index_select(axis, at) for at in (low, high))
        third, fourth = (greatest.index_select(axis, at) for at in (low, high))
        least, greatest = torch.minimum(first, second), torch.maximum(third, fourth)
    return torch.minimum(torch.maximum(resized, least), greatest)


def _neighbours(source: int, target: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the two source positions between which each target position lies."""
    # In whole numbers, for rounding must not choose other neighbours: (i + 0.5) s / t - 0.5.
    at = (2 * torch.arange(target, device=device) + 1) * source - target
    low = torch.div(at.clamp(min=0), 2 * target, rounding_mode="floor").clamp(max=source - 1)
    return low, (low + 1).clamp(max=source - 1)
