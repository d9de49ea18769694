"""Make classifiers by the name of their architecture, and the table of sources of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Channels, Classifier, ModelSpec, check_normalisation
from ectool.models.layers.target_layer import (
    NoFeatureMapError,
    TargetLayer,
    check_module_name,
    find_target_layer,
    named_target_layer,
    no_target_layer,
)
from ectool.models.layers.template_masks import add_template_masks
from ectool.models.names import (
    IMPORT,
    OPENCLIP,
    check_architecture,
    program_file,
    resolved_architecture,
    split_architecture,
)
from ectool.models.sources import exported, imported, openclip, timm_zoo, torchscript, zoo
from ectool.models.sources.base import Defaults, Size, Source, seeded
from ectool.types import Unnamed

SOURCES: dict[str, Source] = {
    "": zoo,
    "timm": timm_zoo,
    OPENCLIP: openclip,
    IMPORT: imported,
    "torchscript": torchscript,
    "exported": exported,
}
"""Sources of networks, by the part before the colon in the name of an architecture."""


def create(
    architecture: str,
    class_names: Sequence[str],
    *,
    seed: int,
    input_size: Size | None = None,
    layer: str | None = None,
    mean: Channels | None = None,
    std: Channels | None = None,
) -> Classifier:
    """Make a classifier, with initial weights unless its network comes with weights.

    Args:
        architecture: One of :func:`ectool.models.sources.zoo.architectures`; ``timm:NAME`` for a
            network of timm; ``openclip:ARCH`` for a zero-shot classifier, whose head is computed by
            :func:`ectool.models.zeroshot.towers.fill`; ``import:package.module:factory`` for one
            of the user's code (see :func:`ectool.models.sources.imported.network`);
            ``torchscript:FILE`` or ``exported:FILE`` for a program with its weights (see
            :mod:`ectool.models.sources.program`).
        class_names: Names of the classes, in the order of the logits.
        seed: Seed of the initial weights; torch's global generator does not change.
        input_size: (height, width) of the images. Default: that of the architecture.
        layer: Name of the target layer. Default: that of
            :func:`ectool.models.layers.target_layer.find_target_layer`; a program has none.
        mean: Mean of each channel of pixels in [0, 1]. Default: that of the public weights.
        std: Standard deviation of each channel. Default: that of the public weights.

    Returns:
        The classifier on the CPU in training mode, its weights channels last in memory.

    Raises:
        InputError: Unknown architecture or layer, an input size that the architecture does not
            accept, a network for another number of classes, or a mean or standard deviation out of
            bounds.

    Cost: one forward pass of one image to find the layer, and the checks of the source.
    """
    architecture = resolved_architecture(architecture)
    source, name = _find_source(architecture)
    public = source.defaults(name)
    size = input_size or public.input_size
    network = _network(source, name, len(class_names), size, seed)
    is_program = program_file(architecture) is not None
    target = None if is_program else choose_target(network, size, layer)
    if is_program and layer is not None:
        raise no_target_layer(architecture)
    spec = ModelSpec(
        architecture=architecture,
        class_names=tuple(class_names),
        input_size=size,
        mean=public.mean if mean is None else _check_channels("mean", mean),
        std=public.std if std is None else _check_channels("std", std),
        target_layer=target.name if target else None,
        layout=target.layout if target else None,
    )
    return _wrap(network, spec)


def build(spec: ModelSpec) -> Classifier:
    """Rebuild the classifier of a specification; its weights are loaded afterwards.

    Args:
        spec: That of the original classifier.

    Returns:
        The classifier on the CPU in training mode, its weights channels last in memory.

    Raises:
        InputError: Unknown architecture or layer, or an input size that is not accepted.
    """
    source, name = _find_source(spec.architecture)
    network = _network(source, name, len(spec.class_names), spec.input_size, seed=0)
    if spec.target_layer is not None:
        check_module_name(network, spec.target_layer)
    if spec.masked_layer is not None:
        check_module_name(network, spec.masked_layer)
        add_template_masks(network, spec.masked_layer)
    return _wrap(network, spec)


def defaults(architecture: str) -> Defaults:
    """Return the input size, normalisation and number of classes of an architecture.

    They are those of its public weights; those of ImageNet if these are not known.

    Raises:
        InputError: Unknown architecture.
    """
    source, name = _find_source(architecture)
    return source.defaults(name)


def without_layer(architecture: str, classes: int, size: Size | None = None) -> Classifier:
    """Make a classifier without a target layer, to look at its weights.

    Args:
        architecture: As for :func:`create`.
        classes: Number of logits.
        size: (height, width) of the images. Default: that of the architecture.

    Raises:
        HeadError: Its network is for another number of classes.
        InputError: Unknown architecture, or an input size that is not accepted.
    """
    source, name = _find_source(architecture)
    public = source.defaults(name)
    size = size or public.input_size
    network = _network(source, name, classes, size, seed=0)
    names = Unnamed.of(classes)
    return Classifier(
        network, ModelSpec(architecture, names, size, public.mean, public.std, None, None)
    )


def _network(source: Source, name: str, classes: int, size: Size, seed: int) -> nn.Module:
    with seeded(seed):
        return source.network(name, classes, size)


def _find_source(architecture: str) -> tuple[Source, str]:
    check_architecture(architecture)
    source, name = split_architecture(architecture)
    return SOURCES[source], name


def choose_target(network: nn.Module, size: Size, layer: str | None) -> TargetLayer | None:
    """Return the layer of a name, or the one found automatically; None without a feature map.

    Raises:
        InputError: The named layer cannot be a target layer.
    """
    if layer is None:
        try:
            return find_target_layer(network, size)
        except NoFeatureMapError:  # it can still be trained, evaluated and attacked
            return None
    return named_target_layer(network, size, layer)


def _check_channels(name: str, values: Sequence[float]) -> Channels:
    if len(values) != 3:
        expected, fix = "three numbers", "give one each for red, green and blue"
        raise InputError(name, expected=expected, got=str(list(values)), fix=fix)
    red, green, blue = map(float, values)
    return check_normalisation(name, (red, green, blue))


def _wrap(network: nn.Module, spec: ModelSpec) -> Classifier:
    model = Classifier(network, spec)
    if spec.target_layer is not None:
        # torch's stubs lack this argument.
        cast(Any, model).to(memory_format=torch.channels_last)
    return model
