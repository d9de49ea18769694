"""Template masks: keep the map of a filter around its maximum only (interpretable CNNs)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

BETA = 4.0
"""Slope of a template; at distance 1/4 of the sides it is 0."""


def distance_templates(
    peaks: Float[Tensor, "... 2"], height: int, width: int
) -> Float[Tensor, "... h w"]:
    """Return ``max(1 - BETA * (|i - peak_i| / h + |j - peak_j| / w), -1)``.

    That is ``T / tau`` of Zhang et al. 2018 (arXiv 1710.00935, section 3), who define it for square
    maps.

    Args:
        peaks: (row, column) of each maximum.
        height: Height h of the maps in cells.
        width: Width w of the maps in cells.

    Returns:
        Values in [-1, 1], 1 at the peak.
    """
    rows = torch.arange(height, device=peaks.device) - peaks[..., :1]
    columns = torch.arange(width, device=peaks.device) - peaks[..., 1:]
    away = (rows.abs() / height)[..., :, None] + (columns.abs() / width)[..., None, :]
    return (1 - BETA * away).clamp(min=-1)


def peaks_of(maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2"]:
    """Return (row, column) of the maximum of each map, the first of equal ones."""
    index = maps.flatten(2).argmax(2)
    width = maps.shape[3]
    return torch.stack([index // width, index % width], dim=2).to(maps.dtype)


def mask_maps(maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return ``relu(maps) * relu(T / tau)``, with the template T at the maximum of each map.

    After Zhang et al. 2018, whose masked map is ``max(x T, 0)`` of a map x after ReLU. Deviation:
    the template is divided by its height tau, so that the scale of the maps stays; the next layer
    would have to learn this factor. The template is a constant for gradients.
    """
    maps = maps.relu()
    height, width = maps.shape[2:]
    masks = distance_templates(peaks_of(maps.detach()), height, width).relu()
    return maps * masks


def add_template_masks(network: nn.Module, layer: str) -> None:
    """Mask the output of a layer in every forward pass; nothing where it already is masked.

    It is a hook, so that the names of the weights stay. Hooks that are added later receive the
    masked maps, such as those of explainers; a hook with ``prepend`` receives the maps before.
    """
    module = network.get_submodule(layer)
    if _mask not in module._forward_hooks.values():
        module.register_forward_hook(_mask)


def _mask(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
    return mask_maps(output) if isinstance(output, Tensor) else output
