"""Heatmaps as weighted sums of a layer's channels, for several targets at once."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def weighted_map(
    weights: Float[Tensor, "n columns c"],
    activations: Float[Tensor, "n c h w"],
    classes: Int[Tensor, "n *k"],
) -> Float[Tensor, "n *k h w"]:
    """Return ``relu(sum_c w_c A_c)`` in float32.

    Args:
        weights: Weight of each channel for each target.
        activations: Of any floating type.
        classes: The targets, one for each image or k; the map of -1 is zero.

    Returns:
        Non-negative heatmaps.
    """
    maps = torch.einsum("nkc,nchw->nkhw", weights.float(), activations.float()).relu_()
    maps = maps.view(*classes.shape, *maps.shape[2:])
    return maps.masked_fill_(classes[..., None, None] < 0, 0)
