"""Keep spectral norms true to weights that were exchanged."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

_ITERATIONS = 100


def settle_norm(module: nn.Module) -> None:
    """Find the singular vectors of a layer's new weights, which it only follows while training.

    Divided by the norm of other weights, a layer would scale its output by any factor.

    Args:
        module: A layer with `torch.nn.utils.spectral_norm`, a list of parametrisations, or any
            other module, which is left alone. Its vectors are replaced, not written to.
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm):
            weight = getattr(module, f"{hook.name}_orig")
            matrix = hook.reshape_weight_to_matrix(weight.detach())
            left, right = _vectors(matrix, getattr(module, f"{hook.name}_u"))
            setattr(module, f"{hook.name}_u", left)
            setattr(module, f"{hook.name}_v", right)
    for part in module.children():
        if isinstance(part, _SpectralNorm) and hasattr(module, "original"):
            original = cast(Tensor, module.original)
            matrix = part._reshape_weight_to_matrix(original.detach())
            if matrix.ndim > 1:
                part._u, part._v = _vectors(matrix, part._u)


def _vectors(matrix: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first singular vectors by power iteration."""
    left, right = start.detach().clone(), start
    with torch.no_grad():
        for _ in range(_ITERATIONS):
            right = nn.functional.normalize(matrix.mT @ left, dim=0)
            left = nn.functional.normalize(matrix @ right, dim=0)
    return left, right
