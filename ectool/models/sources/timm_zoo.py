"""Networks of timm, an optional package: ``timm:NAME``."""

from __future__ import annotations

import difflib
import importlib
from types import ModuleType
from typing import Any

from torch import nn

from ectool.errors import InputError
from ectool.models.layers.probe import check_head, first_line
from ectool.models.sources.base import Defaults, Size


def defaults(name: str) -> Defaults:
    """Return the properties of the training data of the public weights (``pretrained_cfg``).

    Raises:
        InputError: timm is not installed, or has no such network.
    """
    config = _config(_timm(), name)
    _, height, width = config["input_size"]
    return Defaults((height, width), config["mean"], config["std"], config["num_classes"] or None)


def network(name: str, classes: int, size: Size) -> nn.Module:
    """Make a network with fresh weights; nothing is downloaded.

    Args:
        name: Name in timm, with or without the tag of its public weights.
        classes: Number of logits.
        size: (height, width) of the images.

    Returns:
        The network.

    Raises:
        InputError: timm is not installed, has no such network, or the network does not accept the
            size.

    Cost: one forward pass of one image.
    """
    timm = _timm()
    config = _config(timm, name)
    is_bound = config["fixed_input_size"] and size != config["input_size"][1:]
    options = {"img_size": size} if is_bound else {}
    try:
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, **options)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise InputError(
            "input size",
            expected=f"a size timm:{name} accepts",
            got=f"{size[0]}x{size[1]} ({first_line(error)})",
            fix="use the default size",
        ) from error
    check_head(made, size, classes, f"timm:{name}")
    return made


def _config(timm: ModuleType, name: str) -> dict[str, Any]:
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError:  # the network exists, but not the tag
        config = None
    if config is not None:
        fields: dict[str, Any] = vars(config)
        return fields
    base, _, tag = name.partition(".")
    known = timm.list_pretrained(f"{base}.*") if tag else timm.list_models()
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or [base]
    raise InputError(
        f"model timm:{name}",
        expected=f"a network of timm {timm.__version__}",
        got="an unknown name",
        fix=f"try {', '.join(near)}",
    )


def _timm() -> ModuleType:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise InputError(
            "model timm:…",
            expected="the package timm",
            got=f"{type(error).__name__}: {first_line(error)}",
            fix="pip install 'ectool[timm]'",
        ) from error
