"""Passes of a training, counted where images enter the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

CHANNELS = 3


@dataclass
class Passes:
    """Numbers of images.

    Attributes:
        forward: Images that passed the first convolution.
        backward: Images whose gradient reached it, that of the loss or that of an attack.
    """

    forward: int = 0
    backward: int = 0


@contextmanager
def counted() -> Iterator[Passes]:
    """Count the passes of all networks in a block; results do not change."""
    total = Passes()

    def count(module: nn.Module, _: Any, output: Tensor) -> None:
        if not (isinstance(module, nn.Conv2d) and module.in_channels == CHANNELS):
            return
        size = len(output)
        total.forward += size
        if output.requires_grad:
            output.register_hook(lambda _: add_backward(size))

    def add_backward(size: int) -> None:
        total.backward += size

    handle = register_module_forward_hook(count)
    try:
        yield total
    finally:
        handle.remove()
