"""The interface of a source of networks, and the defaults of its networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from ectool.models.classifier import Channels

Size = tuple[int, int]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Defaults:
    """Properties of the training data of a network's public weights; by default those of ImageNet.

    Attributes:
        input_size: (height, width) of the images in pixels.
        mean: Mean of each channel, subtracted from pixels in [0, 1].
        std: Standard deviation of each channel, which the pixels are divided by afterwards.
        classes: Number of classes; None if the weights contain no head.
    """

    input_size: Size = (224, 224)
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    classes: int | None = None


class Source(Protocol):
    """A place networks come from: a module with these two functions.

    Both raise an :class:`~ectool.errors.InputError` for an unknown name.
    """

    def defaults(self, name: str, /) -> Defaults:
        """Return the properties of the training data of a network's public weights."""
        ...

    def network(self, name: str, classes: int, size: Size, /) -> nn.Module:
        """Make a network; initial weights are drawn from torch's default generator.

        Args:
            name: Name of the network at this place.
            classes: Number of logits.
            size: (height, width) of the images in pixels.
        """
        ...


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's default generator while the block runs, and restore its state."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which also seeds the generators of accelerators.
        torch.default_generator.manual_seed(seed)
        yield
