"""Which layers are made random together, and in which order."""

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

MOST_BLOCKS = 8
"""Steps of randomisation at most, however deep a network is."""
ROOT = "root"
"""What a block of weights is called that belong to no layer but to the network itself."""


@dataclass(frozen=True)
class Block:
    """Neighbouring layers.

    Attributes:
        name: Their common name, or the first and the last one's.
        modules: Names of all modules in them that have weights of their own.
    """

    name: str
    modules: tuple[str, ...]


def find_blocks(
    network: nn.Module, image_size: tuple[int, int], most: int = MOST_BLOCKS
) -> tuple[Block, ...]:
    """Divide a network into blocks of layers, from its head to its input.

    Layers go together as the network's own modules hold them (`layer3.0`, `features.7`), at the
    least depth of names at which there are ``most`` of these or more. The last one is a block by
    itself; the others, where they are too many, are joined to ``most - 1`` runs of neighbours of
    about the same number. The order is that in which a forward pass reaches them.

    Args:
        network: Maps normalised images to logits; left as found.
        image_size: (height, width) of its input in pixels.
        most: Greatest number of blocks, at least 2.

    Returns:
        Blocks that together hold every weight; none of a network without weights.

    Raises:
        InputError: The network takes no such images.

    Cost: one forward pass of one image.
    """
    modules = _with_weights_in_order(network, image_size)
    units = list(_units(modules, most).items())[::-1]
    if not units:
        return ()
    rest = len(units) - 1
    runs = min(most - 1, rest)
    cuts = [0, *(1 + rest * run // runs for run in range(runs)), len(units)]
    return tuple(_joined(units[start:stop]) for start, stop in pairwise(cuts))


def _with_weights_in_order(network: nn.Module, image_size: tuple[int, int]) -> list[str]:
    """Return the modules with weights of their own, as a forward pass reaches them.

    One that is never called itself, but read by the module around it, counts as reached with that.
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


def _units(modules: Sequence[str], most: int) -> dict[str, list[str]]:
    """Return modules by the first parts of their names, as few parts as make enough units."""
    units: dict[str, list[str]] = {}
    deepest = max((name.count(".") + 1 for name in modules), default=0)
    for depth in range(1, deepest + 1):
        units = {}
        for name in modules:
            units.setdefault(".".join(name.split(".")[:depth]), []).append(name)
        if len(units) >= most:
            break
    return units


def _joined(units: Sequence[tuple[str, list[str]]]) -> Block:
    """Return units, the last one of the network first, as one block."""
    (last, _), (first, _) = units[0], units[-1]
    names = [name or ROOT for name in dict.fromkeys((first, last))]
    return Block("..".join(names), tuple(name for _, names in units for name in names))
