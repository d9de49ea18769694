"""Weights that nobody trained, and networks that have some of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from ectool.models.classifier import Classifier
from ectool.sanity.spectral import settle_norm
from ectool.seeding import stream

Weights = Mapping[str, Mapping[str, Tensor]]
"""Tensors by the name of the module and by their own name in it."""
RESET = "reset_parameters"
"""What modules of torch and of other libraries call their initialisation."""


def draw_weights(
    network: nn.Module, modules: Iterable[str], seed: int, *, draw: int = 0
) -> Weights:
    """Draw new weights for some modules.

    By the module's own initialisation where it has one (``reset_parameters``, which also forgets
    the statistics of a batch normalisation), else the trained weights in random order. So are the
    weights that an initialisation does not reach, because others are made of them at each pass:
    `weight_orig` of a pruned layer, `weight_g` and `weight_v`, those of parametrisations. Every
    module draws from (seed, its name), so the weights depend neither on order nor on device.

    Args:
        network: Where the modules are; left as found, and so is the global generator.
        modules: Their names.
        seed: Seed of the draws.
        draw: Which of several independent draws, from 0.

    Returns:
        The weights of these modules' own, like the present ones in device and type.

    Memory: these weights.
    """
    return {name: _drawn(network.get_submodule(name), name, seed, draw) for name in modules}


def with_weights(model: Classifier, weights: Weights) -> Classifier:
    """Return a copy of a classifier in which some modules of the network have other weights.

    Args:
        model: The classifier, left as it is.
        weights: As :func:`draw_weights` returns them, for names in ``model.network``.

    Returns:
        A classifier that shares these weights with whoever holds them, and all others with
        ``model``; do not train it.

    Memory: none but that of the structure.
    """
    # What is in the memo counts as copied already.
    memo = _made_of_others(model)
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
        settle_norm(copied.network.get_submodule(name))
    return copied


def _drawn(module: nn.Module, name: str, seed: int, draw: int) -> dict[str, Tensor]:
    further = (draw,) if draw else ()
    own = int(stream(seed, name, "sanity", *further).integers(2**63))
    present, drawn = _own_tensors(module), _permuted(module, own)
    if hasattr(module, RESET):
        drawn |= _reset(module, own)
    return {key: tensor.detach().to(present[key]) for key, tensor in drawn.items()}


def _reset(module: nn.Module, seed: int) -> dict[str, Tensor]:
    """Return what the module's own initialisation reaches, always drawn on the processor."""
    fresh = copy.deepcopy(module, _made_of_others(module)).cpu()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for parameter in fresh.parameters(recurse=False):
            parameter.fill_(torch.nan)  # what is still there afterwards has not been reached
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


def _made_of_others(model: nn.Module) -> dict[int, Tensor]:
    """Return a memo for tensors that layers make of their weights, which cannot be copied."""
    return {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }


def _own_tensors(module: nn.Module) -> dict[str, Tensor]:
    own = chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
    return dict(own)
