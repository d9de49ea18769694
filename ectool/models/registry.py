"""Make a classifier by the name of its architecture: the small network and all of torchvision."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, cast

import torch
import torchvision.models
from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Channels, Classifier, ModelSpec
from ectool.models.smallcnn import SmallCNN
from ectool.models.target_layer import check_module_name, find_target_layer, named_target_layer

SMALL_CNN = "smallcnn"
SMALL_CNN_SIZE = (32, 32)
HALF: Channels = (0.5, 0.5, 0.5)
QUARTER: Channels = (0.25, 0.25, 0.25)
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)

# Their public weights were trained on pixels in [-1, 1]; torchvision reaches that by rescaling
# ImageNet-normalised input inside the network (`transform_input`), which is the same map.
_SYMMETRIC_INPUT = ("googlenet", "inception_v3")


def architectures() -> list[str]:
    """Return the name of every architecture that :func:`create` knows."""
    return [SMALL_CNN, *torchvision.models.list_models(module=torchvision.models)]


def create(
    architecture: str,
    class_names: Sequence[str],
    *,
    seed: int,
    input_size: tuple[int, int] | None = None,
    layer: str | None = None,
) -> Classifier:
    """Make a classifier with fresh weights.

    Args:
        architecture: One of :func:`architectures`.
        class_names: Names of the classes, in the order of the logits.
        seed: Seed of the initial weights; torch's global generator is left as found.
        input_size: (height, width) of the images. Default: what the architecture was made for.
        layer: Name of the layer heatmaps are drawn from. Default: found, see
            :func:`ectool.models.target_layer.find_target_layer`.

    Returns:
        The classifier on the CPU in training mode, its weights channels last in memory.

    Raises:
        InputError: Unknown architecture or layer, or an input size the architecture refuses.

    Cost: one forward pass of one image, to find the layer.
    """
    check_architecture(architecture)
    size = input_size or default_input_size(architecture)
    network = _network(architecture, len(class_names), size, seed)
    target = (
        find_target_layer(network, size)
        if layer is None
        else named_target_layer(network, size, layer)
    )
    mean, std = normalization(architecture)
    spec = ModelSpec(
        architecture=architecture,
        class_names=tuple(class_names),
        input_size=size,
        mean=mean,
        std=std,
        target_layer=target.name,
        layout=target.layout,
    )
    return _wrap(network, spec)


def build(spec: ModelSpec) -> Classifier:
    """Rebuild the classifier that ``spec`` describes, with weights still to be loaded.

    Args:
        spec: What :attr:`ectool.models.classifier.Classifier.spec` said.

    Returns:
        The classifier on the CPU in training mode, its weights channels last in memory.

    Raises:
        InputError: Unknown architecture or layer, or an input size the architecture refuses.
    """
    check_architecture(spec.architecture)
    network = _network(spec.architecture, len(spec.class_names), spec.input_size, seed=0)
    check_module_name(network, spec.target_layer)
    return _wrap(network, spec)


def check_architecture(name: str) -> None:
    """Raise an :class:`InputError` with near names unless ``name`` is a known architecture."""
    known = architectures()
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [SMALL_CNN]
    raise InputError(
        "model",
        expected=f"one of {len(known)} architectures",
        got=repr(name),
        fix=f"try {', '.join(near)}",
    )


def default_input_size(architecture: str) -> tuple[int, int]:
    """Return the (height, width) in pixels that ``architecture`` was made for."""
    if architecture == SMALL_CNN:
        return SMALL_CNN_SIZE
    side: int = _preprocessing(architecture)["crop_size"]
    return side, side


def normalization(architecture: str) -> tuple[Channels, Channels]:
    """Return mean and standard deviation of each channel of pixels in [0, 1].

    They are those of the architecture's public weights, so that these fit.
    """
    if architecture == SMALL_CNN:
        return HALF, QUARTER
    if architecture in _SYMMETRIC_INPUT:
        return HALF, HALF
    preprocessing = _preprocessing(architecture)
    return preprocessing["mean"], preprocessing["std"]


def _preprocessing(architecture: str) -> dict[str, Any]:
    weights = cast(Any, torchvision.models.get_model_weights(architecture)).DEFAULT
    return {"mean": IMAGENET_MEAN, "std": IMAGENET_STD, **weights.transforms.keywords}


def _network(architecture: str, classes: int, size: tuple[int, int], seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the accelerators' generators too.
        torch.default_generator.manual_seed(seed)
        if architecture == SMALL_CNN:
            return SmallCNN(classes)
        try:
            return cast(
                nn.Module,
                torchvision.models.get_model(
                    architecture,
                    weights=None,
                    num_classes=classes,
                    **_constructor_options(architecture, size),
                ),
            )
        except (ValueError, AssertionError) as error:
            raise InputError(
                "input size",
                expected=f"a size {architecture} accepts",
                got=f"{size[0]}x{size[1]} ({error})",
                fix="use the default size",
            ) from error


def _constructor_options(architecture: str, size: tuple[int, int]) -> dict[str, Any]:
    if architecture in _SYMMETRIC_INPUT:
        return {"aux_logits": False, "init_weights": True}
    if architecture.startswith("maxvit"):
        return {"input_size": size}
    if not architecture.startswith("vit_"):
        return {}
    if size[0] != size[1]:
        raise ValueError("not square")
    return {"image_size": size[0]}


def _wrap(network: nn.Module, spec: ModelSpec) -> Classifier:
    model = Classifier(network, spec)
    # torch's stubs leave this argument out.
    cast(Any, model).to(memory_format=torch.channels_last)
    return model
