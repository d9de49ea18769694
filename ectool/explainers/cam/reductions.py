"""Reduce a feature map to a heatmap: weighted sum of channels, first principal component."""

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
        activations: Activations of any floating-point dtype.
        classes: One or k targets per image; the map of -1 is zero.

    Returns:
        Non-negative heatmaps.
    """
    maps = torch.einsum("nkc,nchw->nkhw", weights.float(), activations.float()).relu_()
    maps = maps.view(*classes.shape, *maps.shape[2:])
    return maps.masked_fill_(classes[..., None, None] < 0, 0)


def first_component(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Project the channels of every position onto their first principal component.

    ``map = u s`` with u, s the first left singular vector and value of the positions × channels
    matrix, centred over the positions. It is computed from the eigenvectors of the smaller Gram
    matrix (positions × positions or channels × channels). The sign of a singular vector is
    arbitrary; here the map correlates positively with the norm of the channel vectors, so it is
    high where the layer is active.

    Args:
        features: Activations of any floating-point dtype.

    Returns:
        Signed maps in float32 that sum to 0; zero if all positions are equal.
    """
    rows = features.float().flatten(2).transpose(1, 2)
    energy = rows.square().sum(2)
    rows = rows - rows.mean(1, keepdim=True)
    projected = _left(rows) if rows.shape[1] <= rows.shape[2] else _right(rows)
    sign = torch.where((projected * (energy - energy.mean(1, keepdim=True))).sum(1) < 0, -1.0, 1.0)
    return (projected * sign[:, None]).view(len(features), *features.shape[2:])


def _left(rows: Float[Tensor, "n p c"]) -> Float[Tensor, "n p"]:
    """Return ``u s`` from the Gram matrix of the positions."""
    values, vectors = torch.linalg.eigh(rows @ rows.transpose(1, 2))
    first: Tensor = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    return first


def _right(rows: Float[Tensor, "n p c"]) -> Float[Tensor, "n p"]:
    """Return ``u s`` from the Gram matrix of the channels."""
    _, vectors = torch.linalg.eigh(rows.transpose(1, 2) @ rows)
    first: Tensor = (rows @ vectors[:, :, -1:])[:, :, 0]
    return first
