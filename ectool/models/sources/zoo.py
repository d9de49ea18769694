"""Networks by their name alone: small networks of ectool and all classifiers of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from torch import nn

from ectool.errors import InputError
from ectool.models.classifier import Channels
from ectool.models.names import unknown_architecture
from ectool.models.sources.base import IMAGENET_MEAN, IMAGENET_STD, Defaults, Size
from ectool.models.sources.smallcnn import SmallCNN
from ectool.models.sources.smallresnet import SmallResNet
from ectool.models.sources.smallvit import SmallViT

SMALL: dict[str, Callable[[int, Size], nn.Module]] = {
    "smallcnn": lambda classes, _: SmallCNN(classes),
    "smallresnet": SmallResNet,
    "smallvit": SmallViT,
}
"""Networks of ectool for small images, from the number of classes and the size of the images."""
SMALL_SIZE = (32, 32)
HALF: Channels = (0.5, 0.5, 0.5)
QUARTER: Channels = (0.25, 0.25, 0.25)

# Their public weights were trained on pixels in [-1, 1]. torchvision instead rescales
# ImageNet-normalised input inside the network (`transform_input`), which is the same map.
_SYMMETRIC_INPUT = ("googlenet", "inception_v3")


def architectures() -> list[str]:
    """Return the names of all networks."""
    return [*SMALL, *_torchvision().list_models(module=_torchvision())]


def imagenet_class_names() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, in the order of the public heads."""
    weights = _torchvision().ResNet18_Weights.DEFAULT
    return tuple(weights.meta["categories"])


def defaults(name: str) -> Defaults:
    """Return the properties of the training data of the public weights.

    Networks of ectool have no public weights.

    Raises:
        InputError: Unknown name.
    """
    _check_name(name)
    if name in SMALL:
        return Defaults(SMALL_SIZE, HALF, QUARTER)
    weights = _torchvision().get_model_weights(name).DEFAULT
    preprocessing = weights.transforms.keywords
    side: int = preprocessing["crop_size"]
    classes = len(weights.meta["categories"])
    if name in _SYMMETRIC_INPUT:
        return Defaults((side, side), HALF, HALF, classes)
    mean = preprocessing.get("mean", IMAGENET_MEAN)
    return Defaults((side, side), mean, preprocessing.get("std", IMAGENET_STD), classes)


def network(name: str, classes: int, size: Size) -> nn.Module:
    """Make a network with fresh weights.

    Raises:
        InputError: Unknown name, or a size that the architecture does not accept.
    """
    _check_name(name)
    try:
        return SMALL[name](classes, size) if name in SMALL else _of_torchvision(name, classes, size)
    except (ValueError, AssertionError) as error:
        raise InputError(
            "input size",
            expected=f"a size {name} accepts",
            got=f"{size[0]}x{size[1]} ({error})",
            fix="use the default size",
        ) from error


def _of_torchvision(name: str, classes: int, size: Size) -> nn.Module:
    options = _constructor_options(name, size)
    made = _torchvision().get_model(name, weights=None, num_classes=classes, **options)
    return cast(nn.Module, made)


def _torchvision() -> Any:  # noqa: ANN401 (a module without types)
    """Import torchvision's models, which takes as long as importing torch."""
    from torchvision import models

    return models


def _check_name(name: str) -> None:
    if name in SMALL:
        return
    known = architectures()
    if name in known:
        return
    raise unknown_architecture(name, known)


def _constructor_options(name: str, size: Size) -> dict[str, Any]:
    if name in _SYMMETRIC_INPUT:
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("maxvit"):
        return {"input_size": size}
    if not name.startswith("vit_"):
        return {}
    if size[0] != size[1]:
        raise ValueError("not square")
    return {"image_size": size[0]}
