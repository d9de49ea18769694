"""Position embeddings of vision transformers at another size of images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_NAMES = ("pos_embed", "pos_embedding", "position_embeddings")
"""Last parts of the names that timm, torchvision and transformers give to these weights."""
_IMAGE_TOWER = ("visual.positional_embedding", "attnpool.positional_embedding")
"""Last parts of their names in open_clip, which has no axis for the image; texts have others."""
_MAX_PREFIX = 16
"""Maximum number of tokens before the grid: class token, distillation token, registers."""

Grid = tuple[int, int]


def fit_positions(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Grid]]:
    """Interpolate the position embeddings of a checkpoint to the grid of a network.

    Args:
        state: Weights of the checkpoint by their names in the network.
        expected: Weights of the network.

    Returns:
        The weights, and the side of both square grids for each interpolated name.
    """
    fitted, changed = dict(state), {}
    for name, own in expected.items():
        other, is_flat = state.get(name, own), name.endswith(_IMAGE_TOWER)
        if is_flat and other.ndim == own.ndim == 2:
            other, own = other[None], own[None]
        if not (is_flat or name.rpartition(".")[2] in _NAMES) or not _differ_in_tokens(other, own):
            continue
        prefix = _prefix_tokens(other.shape[1], own.shape[1])
        if prefix is not None:
            sides = math.isqrt(other.shape[1] - prefix), math.isqrt(own.shape[1] - prefix)
            positions = resample_positions(other, sides[1], prefix)
            fitted[name] = positions[0] if is_flat else positions
            changed[name] = sides
    return fitted, changed


def resample_positions(
    positions: Float[Tensor, "1 t c"], side: int, prefix: int
) -> Float[Tensor, "1 u c"]:
    """Interpolate the embeddings of a square grid of tokens to another square grid.

    Bicubic with antialiasing, in float32, as timm's ``resample_abs_pos_embed``.

    Args:
        positions: Embeddings of `prefix` tokens, then of the grid, row by row.
        side: Tokens along each side of the new grid.
        prefix: Number of tokens before the grid; their embeddings stay as they are.

    Returns:
        The embeddings of ``prefix + side * side`` tokens, in the same type.
    """
    tokens = positions[:, prefix:]
    old, channels = math.isqrt(tokens.shape[1]), tokens.shape[2]
    grid = tokens.float().reshape(1, old, old, channels).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, size=(side, side), mode="bicubic", antialias=True)
    flat = resized.permute(0, 2, 3, 1).reshape(1, side * side, channels)
    return torch.cat([positions[:, :prefix], flat.to(positions.dtype)], dim=1)


def _differ_in_tokens(other: Tensor, own: Tensor) -> bool:
    """Return whether two embeddings (1, tokens, channels) differ in nothing but their tokens."""
    if other.ndim != 3 or own.ndim != 3 or not other.is_floating_point():
        return False
    return other.shape[1] != own.shape[1] and other.shape[::2] == own.shape[::2]


def _prefix_tokens(other: int, own: int) -> int | None:
    """Return how many tokens stand before the grid: the fewest that leave two squares.

    Args:
        other: Tokens of the checkpoint.
        own: Tokens of the network.
    """
    for prefix in range(min(_MAX_PREFIX, other - 1, own - 1) + 1):
        if all(math.isqrt(count - prefix) ** 2 == count - prefix for count in (other, own)):
            return prefix
    return None
