"""Fold batch normalisation into the convolutions before it, for networks after training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import is_parametrized

from ectool.models.modes import forward_hooks

_TOLERANCE = 1e-3
"""Maximum difference of the outputs, relative to the largest one; folding only rounds."""


class _Pair(NamedTuple):
    """A convolution, and the batch normalisation of its output."""

    convolution: nn.Conv2d
    normalisation: nn.BatchNorm2d


def fold_batch_norm(
    network: nn.Module, example: Float[Tensor, "n c h w"], *, keep: Collection[nn.Module] = ()
) -> int:
    """Fold each batch normalisation into the convolution before it, in place.

    ``W' = W * gamma / sqrt(var + eps)``, ``b' = (b - mean) * gamma / sqrt(var + eps) + beta``;
    the normalisation becomes the identity. Pairs are found in one forward pass, so this works for
    any network. A second pass checks the result: if another module also uses the output of a
    convolution, the outputs differ, and all layers are restored. Layers that compute their weights
    in each pass (pruned, weight- or spectral-normed, parametrised) or have hooks are not folded.

    Args:
        network: A network in evaluation mode, which is not trained afterwards.
        example: Images for the two passes.
        keep: Modules whose output must not change, such as the target layer.

    Returns:
        The number of folded pairs; 0 if folding changed the outputs.

    Cost: two forward passes of ``example``.
    """
    return len(_fold(network, example, keep)) // 2


@contextmanager
def folded(
    network: nn.Module, example: Float[Tensor, "n c h w"], *, keep: Collection[nn.Module] = ()
) -> Iterator[None]:
    """Fold batch normalisations while the block runs, then put the layers back.

    The arguments and the cost are those of :func:`fold_batch_norm`.

    Yields:
        Nothing.
    """
    replaced = _fold(network, example, keep)
    try:
        yield
    finally:
        _put(network, replaced)


def _fold(network: nn.Module, example: Tensor, keep: Collection[nn.Module]) -> dict[str, nn.Module]:
    """Fold in place, and return the replaced layers by name; none if the outputs would change."""
    watched, before = _watch(network, example)
    pairs = [p for p in watched if p.convolution not in keep and all(map(_is_plain, p))]
    names = {module: name for name, module in network.named_modules()}
    replaced: dict[str, nn.Module] = {names[m]: m for pair in pairs for m in pair}
    kept = False
    try:
        for convolution, normalisation in pairs:
            network.set_submodule(names[convolution], fuse_conv_bn_eval(convolution, normalisation))
            network.set_submodule(names[normalisation], nn.Identity())
        with torch.no_grad():
            kept = _are_close(before, network(example))
    finally:
        if not kept:
            _put(network, replaced)
    return replaced if kept else {}


def _put(network: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    """Set layers of a network by their names."""
    for name, layer in layers.items():
        network.set_submodule(name, layer)


def _watch(network: nn.Module, example: Tensor) -> tuple[list[_Pair], Tensor]:
    """Return the pairs of modules that run once, directly after each other; and the output."""
    made: dict[int, tuple[nn.Conv2d, Tensor, int]] = {}
    pairs: list[_Pair] = []
    calls: Counter[nn.Module] = Counter()

    def note(module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        calls[module] += 1
        if isinstance(module, nn.Conv2d) and isinstance(output, Tensor):
            # Kept, so that no other tensor gets its id; its version shows overwriting.
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
    """Return whether a layer computes only with its own parameters."""
    is_own = module._parameters.get("weight") is module.weight
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    return is_own and not is_parametrized(module) and not any(hooks)


def _are_close(before: Tensor, after: Tensor) -> bool:
    return bool((before - after).abs().max() <= _TOLERANCE * before.abs().max())
