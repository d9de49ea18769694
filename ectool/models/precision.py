"""A classifier's copy in another arithmetic."""

from __future__ import annotations

import copy
from typing import Literal

import torch

from ectool.models.classifier import Classifier

Precision = Literal["fp32", "bf16"]
DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def in_precision(model: Classifier, precision: Precision) -> Classifier:
    """Return a classifier whose network computes in a type; normalisation stays in float32.

    Args:
        model: The classifier, left as it is.
        precision: `fp32` or `bf16`.

    Returns:
        The same classifier where its weights are of that type already, else a copy.
    """
    dtype = DTYPES[precision]
    if all(parameter.dtype == dtype for parameter in model.network.parameters()):
        return model
    other = copy.deepcopy(model)
    other.network.to(dtype)
    return other
