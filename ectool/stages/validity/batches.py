"""Functions of many images, in batches that fit into the processor's cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

BATCH = 64


def parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """Return the batches of a tensor."""
    return torch.split(tensor, BATCH)


def in_batches(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Apply a function to slices of tensors without a gradient, and join its results."""
    with torch.no_grad():
        return torch.cat([function(*part) for part in zip(*map(parts, tensors), strict=True)])
