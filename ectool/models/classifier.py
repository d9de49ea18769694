"""A classifier of pixels in [0, 1]: network, normalisation and class names in one module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from ectool.errors import InputError
from ectool.models.description import Description, Layout
from ectool.models.layers.target_layer import TargetLayer, no_target_layer
from ectool.models.names import shown_architecture
from ectool.models.transfer import to_device
from ectool.models.zeroshot.prompts import Prompts
from ectool.options import misfit_of_channels

Channels = tuple[float, ...]
"""A number for each colour channel: three, or one for networks of grey images."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything but the weights that is needed to rebuild a classifier.

    Attributes:
        architecture: Name of the network's architecture.
        class_names: Names of the classes, in the order of the logits.
        input_size: (height, width) of the images in pixels.
        mean: Mean of each channel, subtracted from pixels in [0, 1].
        std: Standard deviation of each channel, which the pixels are divided by afterwards.
        target_layer: Name of the layer of the heatmaps. None for programs, which do not show their
            layers, and for networks without feature maps.
        layout: Order of the axes of that layer's output; None without a target layer.
        has_names: Whether the classes have names; else their names are their numbers.
        class_order: Order of the classes of the training data if their names are integers:
            ``natural`` or ``text``; None if both are the same, and for other names.
        masked_layer: Name of the layer whose maps are masked by templates
            (:mod:`ectool.models.layers.template_masks`); None for other networks.
        prompts: Those of a zero-shot classifier, for its classes; None for other networks.
    """

    architecture: str
    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    mean: Channels
    std: Channels
    target_layer: str | None
    layout: Layout | None
    has_names: bool = True
    class_order: str | None = None
    masked_layer: str | None = None
    prompts: Prompts | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as lists, strings and numbers, without those at their default."""
        absent = {"class_order": None, "masked_layer": None, "prompts": None}
        defaults = {"has_names": True, **absent}
        fields = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(replace(self, prompts=None)).items()
            if key not in defaults or value != defaults[key]
        }
        return fields if self.prompts is None else {**fields, "prompts": self.prompts.to_json()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ModelSpec:
        """Read the result of :meth:`to_json`; further keys are ignored.

        Args:
            fields: A decoded JSON object.

        Returns:
            The specification.

        Raises:
            InputError: A field is missing or has another type.
        """
        return cls.of(Description.of(fields))

    @classmethod
    def of(cls, found: Description) -> ModelSpec:
        """Return the specification of a checked description.

        Raises:
            InputError: Mean or standard deviation is out of bounds, or the prompts are not valid.
        """
        return cls(
            architecture=found.architecture,
            class_names=tuple(found.class_names),
            input_size=found.input_size,
            mean=check_normalisation("mean", tuple(found.mean)),
            std=check_normalisation("std", tuple(found.std)),
            target_layer=found.target_layer,
            layout=found.layout,
            has_names=found.has_names,
            class_order=found.class_order,
            masked_layer=found.masked_layer,
            prompts=None if found.prompts is None else Prompts.from_json(found.prompts),
        )


class Classifier(nn.Module):
    """Map pixels in [0, 1] to logits; the normalisation is inside.

    So perturbations are in pixel units, for every normalisation of the network.

    Args:
        network: Maps normalised images (N, 3, H, W) to logits (N, C).
        spec: Description of the network.
        further_layers: Target layers in addition to that of ``spec``.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, spec: ModelSpec, further_layers: Iterable[TargetLayer] = ()
    ) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.further_layers = tuple(further_layers)
        # Not part of the weights: they are stored in the specification only.
        self.register_buffer("mean", torch.tensor(spec.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(-1, 1, 1), persistent=False)

    def forward(self, pixels: Float[Tensor, "n ch h w"]) -> Float[Tensor, "n c"]:
        """Classify a batch.

        Args:
            pixels: RGB in [0, 1], on the model's device; in float32 even if the weights have
                another type, because half precision cannot represent all grey levels.

        Returns:
            Logits, one column per class name; under autocast in float32, for the losses.

        Cost: one forward pass.
        """
        normalised = (pixels - self.mean) / self.std
        weights = (p for p in self.network.parameters() if p.is_floating_point())
        like = next(weights, normalised)
        logits = cast(Tensor, self.network(normalised.to(like.dtype)))
        return logits.float() if torch.is_autocast_enabled(pixels.device.type) else logits

    @property
    def architecture(self) -> str:
        """Return the name of the network's architecture for messages."""
        return shown_architecture(self.spec.architecture)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the logits."""
        return self.spec.class_names

    @property
    def input_size(self) -> tuple[int, int]:
        """Return (height, width) of the images in pixels."""
        return self.spec.input_size

    @property
    def target_layer(self) -> TargetLayer:
        """Return the layer of the heatmaps.

        Raises:
            InputError: The network has no feature map, or is a program, whose layers are hidden.
        """
        if self.spec.target_layer is None or self.spec.layout is None:
            raise no_target_layer(self.architecture)
        return TargetLayer(self.spec.target_layer, self.spec.layout)

    @property
    def target_module(self) -> nn.Module:
        """Return the module of :attr:`target_layer`; raises the same errors."""
        return self.network.get_submodule(self.target_layer.name)

    def each_layer(self) -> tuple[Classifier, ...]:
        """Return this classifier once for each of its target layers, with that as the only one.

        All share network and weights.
        """
        specs = [
            replace(self.spec, target_layer=layer.name, layout=layer.layout)
            for layer in self.further_layers
        ]
        return (self, *(Classifier(self.network, spec).to(self.mean.device) for spec in specs))

    def wrapped(self, network: nn.Module, **changes: Any) -> Classifier:  # noqa: ANN401 (fields)
        """Return a classifier around the same network inside another module.

        Args:
            network: A module that contains this classifier's network as ``network``.
            changes: Fields of the specification that differ.

        Returns:
            The classifier, with the same target layers under their new names.
        """
        layers = [replace(at, name=f"network.{at.name}") for at in self.further_layers]
        if self.spec.target_layer is not None:
            changes["target_layer"] = f"network.{self.spec.target_layer}"
        return Classifier(network, replace(self.spec, **changes), layers)


def check_normalisation(name: str, values: Channels) -> Channels:
    """Check a mean or a standard deviation of pixels in [0, 1].

    Args:
        name: `mean` or `std`.
        values: One number for each channel.

    Returns:
        The values.

    Raises:
        InputError: A value is out of bounds.
    """
    misfit = misfit_of_channels(name, values)
    if misfit is None:
        return values
    raise InputError(f"model's {name}", expected=misfit[0], got=str(list(values)), fix=misfit[1])


def to_pixels(
    images: UInt8[np.ndarray, "n 3 h w"] | UInt8[Tensor, "n 3 h w"],
    device: torch.device | str | None = None,
) -> Float[Tensor, "n 3 h w"]:
    """Return uint8 images as float32 in [0, 1], channels last in memory.

    Args:
        images: RGB, 0 to 255.
        device: Device of the result; images are moved before conversion. Default: unchanged.

    Returns:
        ``images / 255``, correctly rounded; times 255 and rounded gives ``images`` again.
    """
    pixels = to_device(images, device).to(torch.float32, memory_format=torch.channels_last)
    return pixels.div_(255)
