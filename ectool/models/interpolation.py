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
    places = [_first_neighbour(maps.shape[axis], size[axis - 1], maps.device) for axis in (1, 2)]
    # Neighbours are compared on the small grid, and only what is found is spread.
    pairs = F.pad(maps[:, None], (0, 1, 0, 1), mode="replicate")[:, 0].unfold(1, 2, 1)
    pairs = pairs.unfold(2, 2, 1)
    least, greatest = (
        found.index_select(1, places[0]).index_select(2, places[1])
        for found in (pairs.amin((-2, -1)), pairs.amax((-2, -1)))
    )
    return torch.clamp(resized, least, greatest)


def _first_neighbour(source: int, target: int, device: torch.device) -> Tensor:
    """Return the source position before each target position; the other neighbour follows it."""
    # In whole numbers, for rounding must not choose other neighbours: (i + 0.5) s / t - 0.5.
    at = (2 * torch.arange(target, device=device) + 1) * source - target
    return torch.div(at.clamp(min=0), 2 * target, rounding_mode="floor").clamp(max=source - 1)
