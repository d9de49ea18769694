"""The description of a model, and its folder with the weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ectool.artifacts import folder
from ectool.artifacts.jobs.sealed import write_checked
from ectool.datasets.class_order import order_of
from ectool.models.checkpoints.checkpoint import load_weights, save_weights
from ectool.models.classifier import Classifier, ModelSpec
from ectool.models.description import read_description
from ectool.models.layers.target_layer import named_target_layer
from ectool.models.registry import build
from ectool.stages.common.code import check_trusted
from ectool.stages.common.layout import SPEC_FILE, WEIGHTS_FILE
from ectool.types import Unnamed


def save_folder(model: Classifier, path: Path) -> dict[str, str]:
    """Write the folder of a model: its description and its weights; equal models, equal bytes.

    Returns:
        The checksum of each file, by name.
    """
    text = json.dumps(model.spec.to_json(), indent=1) + "\n"
    return {
        WEIGHTS_FILE: save_weights(model, path / WEIGHTS_FILE),
        SPEC_FILE: write_checked(path / SPEC_FILE, text.encode()),
    }


def load_folder(path: Path, *, trust_code: bool = False, named: str | None = None) -> Classifier:
    """Load the folder of a model: its description and its weights.

    Args:
        path: The folder.
        trust_code: Whether the user trusts the code of models.
        named: The architecture that the user has named, whose code may run.

    Raises:
        InputError: It is no model, or its code is not trusted.
    """
    file = path / SPEC_FILE
    spec = ModelSpec.of(read_description(file))
    check_trusted(spec.architecture, str(file), trust_code=trust_code or spec.architecture == named)
    model = build(spec)
    load_weights(model, path / WEIGHTS_FILE)
    return model


def load_artifact(
    path: Path,
    layer: str | None = None,
    size: tuple[int, int] | None = None,
    *,
    trust_code: bool = False,
) -> Classifier:
    """Load a model artifact.

    Args:
        path: Its folder.
        layer: Target layer. Default: that of the artifact.
        size: (height, width) of the images, at which the layer is checked. Default: its own.
        trust_code: Whether the user trusts the code of models.

    Raises:
        InputError: It is no model, its code is not trusted, or the layer cannot be a target layer.
        IntegrityError: Its files have changed since they were written.
    """
    manifest = folder.open_folder(path, "model")
    for name in (SPEC_FILE, WEIGHTS_FILE):
        folder.verify_file(path / name, manifest)
    model = load_folder(path, trust_code=trust_code)
    if layer is not None and layer != model.spec.target_layer:
        target = named_target_layer(model.network, size or model.input_size, layer)
        model.spec = replace(model.spec, target_layer=target.name, layout=target.layout)
    return model


def name_classes(model: Classifier, classes: Sequence[str]) -> None:
    """Note in the description of a model whether its classes have names, and their order."""
    has_names = not isinstance(classes, Unnamed)
    model.spec = replace(model.spec, has_names=has_names, class_order=order_of(classes))
