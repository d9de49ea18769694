"""Untrained weights, and networks in which they replace the trained ones."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from ectool.models.classifier import Classifier
from ectool.seeding import stream

Weights = Mapping[str, Mapping[str, Tensor]]
"""Tensors by the name of the module and by their name in it."""
RESET = "reset_parameters"
"""Name of the initialisation in modules of torch and of other libraries."""
_ITERATIONS = 100


def draw_weights(
    network: nn.Module, modules: Iterable[str], seed: int, *, draw: int = 0
) -> Weights:
    """Draw new weights for some modules.

    A module with an initialisation (``reset_parameters``, which also resets the statistics of batch
    normalisation) is initialised. Otherwise its trained weights are permuted. Weights that the
    initialisation does not reach are permuted too: other weights are computed from them in each
    pass, such as `weight_orig` of a pruned layer, `weight_g` and `weight_v`, or those of
    parametrisations. Every module draws from (seed, its name), so the weights depend neither on
    order nor on device.

    Args:
        network: Contains the modules; left unchanged, and so is the global generator.
        modules: Names of the modules.
        seed: Seed of the draws.
        draw: Index of one of several independent draws, from 0.

    Returns:
        The weights that these modules directly hold, on the device and of the type of the present
        ones.

    Memory: these weights.
    """
    return {name: _drawn(network.get_submodule(name), name, seed, draw) for name in modules}


def with_weights(model: Classifier, weights: Weights) -> Classifier:
    """Return a copy of a classifier in which some modules of the network have other weights.

    Args:
        model: The classifier, left unchanged.
        weights: Result of :func:`draw_weights`, for names in ``model.network``.

    Returns:
        A classifier that shares ``weights`` with its other users, and all other weights with
        ``model``; do not train it.

    Memory: only that of the structure.
    """
    # deepcopy treats the entries of the memo as already copied.
    memo = _computed_tensors(model)
    memo |= {id(tensor): tensor for tensor in chain(model.parameters(), model.buffers())}
    for name, tensors in weights.items():
        present = _own_tensors(model.network.get_submodule(name))
        for key, tensor in tensors.items():
            is_parameter = isinstance(present[key], nn.Parameter)
            memo[id(present[key])] = (
                nn.Parameter(tensor, present[key].requires_grad) if is_parameter else tensor
            )
    copied = copy.deepcopy(model, memo)
    for name in weights:
        _update_spectral_norm(copied.network.get_submodule(name))
    return copied


def _drawn(module: nn.Module, name: str, seed: int, draw: int) -> dict[str, Tensor]:
    further = (draw,) if draw else ()
    own = int(stream(seed, name, "sanity", *further).integers(2**63))
    present, drawn = _own_tensors(module), _permuted(module, own)
    if hasattr(module, RESET):
        drawn |= _reset(module, own)
    return {key: tensor.detach().to(present[key]) for key, tensor in drawn.items()}


def _reset(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Return the weights that the module's initialisation reaches, always drawn on the CPU."""
    fresh = copy.deepcopy(module, _computed_tensors(module)).cpu()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for parameter in fresh.parameters(recurse=False):
            parameter.fill_(torch.nan)  # stays NaN where the initialisation does not reach it
        torch.default_generator.manual_seed(seed)
        getattr(fresh, RESET)()
    return {key: own for key, own in _own_tensors(fresh).items() if not own.isnan().all()}


def _permuted(module: nn.Module, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    permuted = {}
    for key, parameter in module.named_parameters(recurse=False):
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        permuted[key] = parameter.flatten()[order].view(parameter.shape)
    return permuted


def _computed_tensors(model: nn.Module) -> dict[int, Tensor]:
    """Return a memo for tensors that layers compute from their weights; these cannot be copied."""
    return {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    own = chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
    return dict(own)


def _update_spectral_norm(module: nn.Module) -> None:
    """Compute the singular vectors of a layer's new weights, which torch updates in training only.

    With the norm of other weights, the layer would scale its output by any factor. The module is
    one with `torch.nn.utils.spectral_norm`, a list of parametrisations, or any other one, which is
    left unchanged. The vectors are replaced and not written to.
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
    """Return the first singular vectors, by power iteration."""
    left, right = start.detach().clone(), start
    with torch.no_grad():
        for _ in range(_ITERATIONS):
            right = nn.functional.normalize(matrix.mT @ left, dim=0)
            left = nn.functional.normalize(matrix @ right, dim=0)
    return left, right
