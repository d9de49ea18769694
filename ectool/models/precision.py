"""Copies of a classifier in another floating-point type."""

from __future__ import annotations

import copy
from typing import Literal

import torch

from ectool.models.classifier import Classifier

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def in_precision(model: Classifier, precision: Precision) -> Classifier:
    """Return a classifier whose network computes in a type; the normalisation stays in float32.

    Args:
        model: The classifier; unchanged.
        precision: `fp32` or `bf16`.

    Returns:
        The same classifier if its weights already have this type, else a copy.
    """
    dtype = DTYPES[precision]
    if all(parameter.dtype == dtype for parameter in model.network.parameters()):
        return model
    other = copy.deepcopy(model)
    other.network.to(dtype)
    return other
