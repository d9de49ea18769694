"""The first principal component of a feature map, with a sign that no solver chooses."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def first_component(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Project every position's channels onto their first principal direction over the positions.

    ``map = u s`` with u, s the first left singular vector and value of the positions × channels
    matrix, centred over the positions. It comes from the eigenvectors of the smaller of the two
    Gram matrices (positions × positions or channels × channels), not from a decomposition of the
    matrix itself. A singular vector's sign is arbitrary: here the map correlates positively with
    the length of the channel vectors, so it is high where the layer is active.

    Args:
        features: Of any floating type.

    Returns:
        Signed maps in float32 that sum to 0; zero where all positions are alike.
    """
    rows = features.float().flatten(2).transpose(1, 2)
    energy = rows.square().sum(2)
    rows = rows - rows.mean(1, keepdim=True)
    projected = _left(rows) if rows.shape[1] <= rows.shape[2] else _right(rows)
    sign = torch.where((projected * (energy - energy.mean(1, keepdim=True))).sum(1) < 0, -1.0, 1.0)
    return (projected * sign[:, None]).view(len(features), *features.shape[2:])


def _left(rows: Float[Tensor, "n p c"]) -> Float[Tensor, "n p"]:
    """Return ``u s`` by way of the positions' Gram matrix."""
    values, vectors = torch.linalg.eigh(rows @ rows.transpose(1, 2))
    first: Tensor = vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()
    return first


def _right(rows: Float[Tensor, "n p c"]) -> Float[Tensor, "n p"]:
    """Return ``u s`` by way of the channels' Gram matrix."""
    _, vectors = torch.linalg.eigh(rows.transpose(1, 2) @ rows)
    first: Tensor = (rows @ vectors[:, :, -1:])[:, :, 0]
    return first
