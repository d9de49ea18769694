"""Classifiers around networks in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Channels, Classifier, ModelSpec
from ectool.models.layers.probe import network_logits, random_images
from ectool.models.layers.target_layer import named_target_layer
from ectool.models.modes import graph_free
from ectool.models.registry import choose_target
from ectool.types import Unnamed

Size = tuple[int, int]


def classifier_around(
    network: nn.Module,
    channels: tuple[Channels, Channels],
    layers: Sequence[str],
    class_names: Sequence[str] | None,
    size: Size,
) -> Classifier:
    """Return the classifier of a network for images of a size."""
    images = random_images(network, 1, size, torch.Generator().manual_seed(0))
    with graph_free():
        count = network_logits(network, images).shape[1]
    names = Unnamed.of(count) if class_names is None else tuple(class_names)
    if len(names) != count:
        raise InputError(
            "class_names",
            expected=f"{count} names, as there are logits",
            got=str(len(names)),
            fix="name each class, in the order of the logits",
        )
    first, *further = layers or (None,)
    target = choose_target(network, size, first)
    spec = ModelSpec(
        architecture=type(network).__name__,
        class_names=names,
        input_size=size,
        mean=channels[0],
        std=channels[1],
        target_layer=target.name if target else None,
        layout=target.layout if target else None,
        has_names=class_names is not None,
    )
    others = [named_target_layer(network, size, name) for name in further if name is not None]
    made = Classifier(network, spec, others)
    place = device_of(network)  # not `made.to`, which would move the network
    made.mean, made.std = made.mean.to(place), made.std.to(place)
    return made


def device_of(module: nn.Module) -> torch.device:
    """Return the device of the weights; the CPU for a module without weights."""
    weights = next(module.parameters(), next(module.buffers(), None))
    return torch.device("cpu") if weights is None else weights.device
