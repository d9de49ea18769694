"""Fold batch normalisation into the convolutions before it, for networks that no longer learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from ectool.models.modes import forward_hooks

_TOLERANCE = 1e-3
"""Greatest difference of the outputs, relative to the greatest output; folding only rounds."""


class _Pair(NamedTuple):
    """A convolution and the batch normalisation that takes its output."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d


def fold_batch_norm(
    network: nn.Module, example: Float[Tensor, "n c h w"], *, keep: Collection[nn.Module] = ()
) -> int:
    """Multiply each batch normalisation into the convolution whose output it takes, in place.

    ``W' = W * gamma / sqrt(var + eps)``, ``b' = (b - mean) * gamma / sqrt(var + eps) + beta``;
    the normalisation becomes the identity. Pairs are found by watching one forward pass, so any
    network can be folded, and a second pass checks the result: where another module listens to a
    convolution as well, the outputs differ and everything is put back. Layers whose weights are
    made of others at each pass (pruned, weight- or spectral-normed, parametrised) or that have
    hooks are left alone.

    Args:
        network: A network in evaluation mode that nobody trains any more.
        example: Pixels to watch and compare the network with.
        keep: Modules whose output has to stay what it is, such as the target layer.

    Returns:
        The number of folded pairs; 0 also where folding would have changed the outputs.

    Cost: two forward passes of ``example``.
    """
    watched, before = _watch(network, example)
    pairs = [p for p in watched if p.convolution not in keep and all(map(_is_plain, p))]
    names = {module: name for name, module in network.named_modules()}
    for convolution, normalisation in pairs:
        network.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, normalisation))
        network.set_submodule(names[normalisation], nn.Identity())
    with torch.no_grad():
        after = network(example)
    if _agree(before, after):
        return len(pairs)
    for module in (module for pair in pairs for module in pair):
        network.set_submodule(names[module], module)
    return 0


def _watch(network: nn.Module, example: Tensor) -> tuple[list[_Pair], Tensor]:
    """Return the pairs of modules that each run once, one right after the other, and the output."""
    made: dict[int, tuple[nn.Conv2d, Tensor, int]] = {}
    pairs: list[_Pair] = []
    calls: Counter[nn.Module] = Counter()

    def note(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        calls[module] += 1
        if isinstance(module, nn.Conv2d) and isinstance(output, Tensor):
            # Held, so that no other tensor gets its id; its version tells what is overwritten.
            made[id(output)] = module, output, output._version
        elif isinstance(module, nn.BatchNorm2d) and inputs and id(inputs[0]) in made:
            convolution, unchanged, version = made[id(inputs[0])]
            if unchanged._version == version:
                pairs.append(_Pair(convolution, module))

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    modules = [module for module in network.modules() if isinstance(module, kinds)]
    with forward_hooks(modules, note), torch.no_grad():
        output: Tensor = network(example)
    return [pair for pair in pairs if _can_fold(pair, calls)], output


def _can_fold(pair: _Pair, calls: Counter[nn.Module]) -> bool:
    return pair.normalisation.track_running_stats and all(calls[module] == 1 for module in pair)


def _is_plain(module: nn.Module) -> bool:
    """Tell whether a layer computes with its own parameters, and with nothing else."""
    is_own = module._parameters.get("weight") is module.weight
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    return is_own and not is_parametrized(module) and not any(hooks)


def _agree(before: Tensor, after: Tensor) -> bool:
    return bool((before - after).abs().max() <= _TOLERANCE * before.abs().max())
