"""Blocks of layers that are randomised together, from the head to the input."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from ectool.models.layers.probe import network_logits, random_images
from ectool.models.modes import frozen, graph_free

MAX_BLOCKS = 8
"""Max number of steps of the randomisation, for networks of any depth."""
ROOT = "root"
"""Name of a block of weights that belong to the network itself and not to a layer."""


@dataclass(frozen=True)
class Block:
    """Neighbouring layers.

    Attributes:
        name: Their common name, or the names of the first and the last one.
        modules: Names of all modules in them that directly hold weights.
    """

    name: str
    modules: tuple[str, ...]


def find_blocks(
    network: nn.Module, image_size: tuple[int, int], max_blocks: int = MAX_BLOCKS
) -> tuple[Block, ...]:
    """Divide a network into blocks of layers, from its head to its input.

    Layers are grouped by the network's modules (`layer3.0`, `features.7`), at the smallest depth of
    names with at least ``max_blocks`` groups. The last group is a block. The others, where there
    are more than ``max_blocks - 1``, are joined to as many runs of neighbours of about the same
    number. Blocks are in the order in which a forward pass reaches them, reversed.

    Args:
        network: Maps normalised images to logits; left unchanged.
        image_size: (height, width) of its input in pixels.
        max_blocks: Max number of blocks, at least 2.

    Returns:
        Blocks that together contain every weight; none for a network without weights.

    Raises:
        InputError: The network does not accept images of this size.

    Cost: one forward pass of one image.
    """
    modules = _with_weights_in_order(network, image_size)
    units = list(_units(modules, max_blocks).items())[::-1]
    if not units:
        return ()
    rest = len(units) - 1
    runs = min(max_blocks - 1, rest)
    cuts = [0, *(1 + rest * run // runs for run in range(runs)), len(units)]
    return tuple(_joined(units[start:stop]) for start, stop in pairwise(cuts))


def _with_weights_in_order(network: nn.Module, image_size: tuple[int, int]) -> list[str]:
    """Return the modules that directly hold weights, in the order of a forward pass.

    A module that is read by the module around it, and never called, is reached with that module.
    """
    reached: dict[str, int] = {}

    def note(name: str, _module: nn.Module, _arguments: object) -> None:
        reached.setdefault(name, len(reached))

    image = random_images(network, 1, image_size, torch.Generator().manual_seed(0))
    with graph_free(), frozen(network), ExitStack() as stack:
        for name, module in network.named_modules():
            stack.callback(module.register_forward_pre_hook(partial(note, name)).remove)
        network_logits(network, image)

    def place(name: str) -> int:
        while name not in reached:
            name = name.rpartition(".")[0]
        return reached[name]

    own = {name.rpartition(".")[0] for name, _ in network.named_parameters()}
    return sorted((name for name, _ in network.named_modules() if name in own), key=place)


def _units(modules: Sequence[str], min_units: int) -> dict[str, list[str]]:
    """Return modules by the first parts of their names, with as few parts as give enough units."""
    units: dict[str, list[str]] = {}
    deepest = max((name.count(".") + 1 for name in modules), default=0)
    for depth in range(1, deepest + 1):
        units = {}
        for name in modules:
            units.setdefault(".".join(name.split(".")[:depth]), []).append(name)
        if len(units) >= min_units:
            break
    return units


def _joined(units: Sequence[tuple[str, list[str]]]) -> Block:
    """Return one block of units; the unit nearest to the head comes first."""
    (last, _), (first, _) = units[0], units[-1]
    names = [name or ROOT for name in dict.fromkeys((first, last))]
    return Block("..".join(names), tuple(name for _, names in units for name in names))
