"""Interpretable filters: one file per loss of the maps of a layer, and one row of `INTERPRETABLE`.

A loss of filters (`base.FilterLoss`) is added to any objective (`beside.BesideFilters`). It also
needs a row with its options in `INTERPRETABLE_OPTIONS` of ectool/config/interpretable.py, and a
section in docs/interpretable.md; tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch

from ectool.config.interpretable import STRENGTH
from ectool.errors import InputError
from ectool.models.classifier import Classifier
from ectool.models.layers.target_layer import named_target_layer
from ectool.models.layers.template_masks import add_template_masks
from ectool.models.modes import frozen, graph_free
from ectool.training.interpretable.base import FilterLoss, FilterSetup
from ectool.training.interpretable.beside import BesideFilters, recorded
from ectool.training.interpretable.iccnn import ICCNN
from ectool.training.interpretable.icnn import ICNN
from ectool.training.objectives.base import Objective

INTERPRETABLE: dict[str, Callable[[FilterSetup], FilterLoss]] = {"icnn": ICNN, "iccnn": ICCNN}

__all__ = ["INTERPRETABLE", "BesideFilters", "FilterLoss", "FilterSetup", "beside"]


def beside(
    name: str, model: Classifier, *, layer: str | None, settings: Mapping[str, float]
) -> Callable[[Objective], Objective]:
    """Return a function that puts the loss of interpretable filters beside an objective.

    All objectives share its state. Objectives that copy the model are made afterwards, so that
    their copies have the masks, too.

    Args:
        name: A row of `INTERPRETABLE`.
        model: The model; for a method with masks, its layer is masked from here on.
        layer: Name of the layer of the filters. Default: the target layer of the model.
        settings: The options of the method, by name.

    Raises:
        InputError: There is no such layer, or it is not convolutional.

    Cost: three forward passes of one image, and a backward pass down to the layer.
    """
    shape = _shape_of_maps(model, layer := layer or model.target_layer.name)
    setup = FilterSetup(settings, shape[0], (shape[1], shape[2]), len(model.class_names))
    filters = INTERPRETABLE[name](setup)
    if filters.has_masks:
        add_template_masks(model.network, layer)
        model.spec = replace(model.spec, masked_layer=layer)
    return partial(BesideFilters, filters=filters, layer=layer, strength=settings[STRENGTH])


def _shape_of_maps(model: Classifier, layer: str) -> torch.Size:
    """Return the number of filters of a layer, and height and width of their maps."""
    layout = named_target_layer(model.network, model.input_size, layer).layout
    with graph_free(), frozen(model), recorded(model, layer) as outputs:
        model(model.mean.new_zeros(1, 3, *model.input_size))
    shape = outputs[-1].shape[1:]
    if layout == "nchw":
        return shape
    raise InputError(
        f"layer {layer}",
        expected="a convolutional layer, with maps of shape filters x height x width",
        got=f"an output of shape {' x '.join(map(str, shape))}",
        fix="give the name of a convolution or of its activation (--interpretable-layer)",
    )
