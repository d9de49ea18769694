"""What every place that networks come from can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from ectool.models.classifier import Channels

Size = tuple[int, int]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Defaults:
    """What a network's public weights were trained on; ImageNet's where nobody says otherwise.

    Attributes:
        input_size: (height, width) of the images in pixels.
        mean: Mean of each channel, subtracted from pixels in [0, 1].
        std: What each channel is divided by afterwards.
        classes: Number of classes, or None if the network has no head of its own.
    """

    input_size: Size = (224, 224)
    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    classes: int | None = None


@dataclass(frozen=True)
class Source:
    """A place networks come from. Both functions raise an `InputError` for an unknown name.

    Attributes:
        defaults: Takes a name, returns what its public weights were trained on.
        network: Takes a name, a number of classes and a size of images, returns the network.
            Initial weights are drawn from torch's default generator.
        is_program: Hooks do not reach inside, so no heatmaps can be drawn.
    """

    defaults: Callable[[str], Defaults]
    network: Callable[[str, int, Size], nn.Module]
    is_program: bool = False


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's default generator while the block runs, and put back its state."""
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the accelerators' generators too.
        torch.default_generator.manual_seed(seed)
        yield
