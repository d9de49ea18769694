"""Sample weights as they are joined with the samples that they weigh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from ectool.artifacts.artifact import Artifact
from ectool.errors import InputError
from ectool.stages.common.inputs import positions

TOLERANCE = 1e-3
"""How far from 1 a mean may be: more than rounding to float32 makes of it, less than matters."""


def joined_weights(
    weights: Artifact, sample_ids: Sequence[str], where: str, fix: str
) -> Float64[np.ndarray, "n"]:
    """Return the weights of samples in their order, as they are stored.

    Args:
        weights: The artifact.
        sample_ids: The samples.
        where: What the message begins with where one is missing.
        fix: What to do then.

    Raises:
        InputError: The weights miss a sample, hold one twice, are negative, or all zero.
    """
    rows = positions(list(sample_ids), weights.sample_ids, where, fix)
    values: np.ndarray = weights.read("weight")[rows].astype(np.float64)
    if values.min() < 0 or not values.any():
        least = int(values.argmin())
        raise InputError(
            f"{weights.path}: weight",
            expected="weights of at least 0, some of them more",
            got=f"{values[least]:g} for {sample_ids[least]!r}"
            + ("" if values.any() else " and all others"),
            fix="score the heatmaps again",
        )
    return values


def needs_scaling(values: Float64[np.ndarray, "n"]) -> bool:
    """Return whether the mean of weights is not 1: it would multiply the learning rate."""
    return bool(abs(values.mean() - 1) > TOLERANCE)


def scaled(values: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Return the weights over their mean; untouched where it is 1 already."""
    return values / values.mean() if needs_scaling(values) else values
