"""Joining of sample weights with samples, and scaling to mean 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from ectool.artifacts.artifact import Artifact
from ectool.errors import InputError
from ectool.stages.common.inputs import positions

TOLERANCE = 1e-3
"""Maximum distance of a mean from 1: above the rounding of float32, too small to matter."""


def joined_weights(
    weights: Artifact, sample_ids: Sequence[str], where: str, fix: str
) -> Float64[np.ndarray, "n"]:
    """Return the stored weights of samples, in the order of the samples.

    Args:
        weights: The artifact.
        sample_ids: The samples.
        where: Beginning of the error message if a sample is missing.
        fix: What to do in that case.

    Raises:
        InputError: The weights lack a sample, have one twice, are negative, or are all zero.
    """
    rows = positions(list(sample_ids), weights.sample_ids, where, fix)
    values: np.ndarray = weights.read("weight")[rows].astype(np.float64)
    if values.min() < 0 or not values.any():
        lowest = int(values.argmin())
        raise InputError(
            f"{weights.path}: weight",
            expected="weights of at least 0, some of them more",
            got=f"{values[lowest]:g} for {sample_ids[lowest]!r}"
            + ("" if values.any() else " and all others"),
            fix="score the heatmaps again",
        )
    return values


def needs_scaling(values: Float64[np.ndarray, "n"]) -> bool:
    """Return whether the mean of weights is not 1; it would scale the learning rate."""
    return bool(abs(values.mean() - 1) > TOLERANCE)


def scaled(values: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
    """Return the weights divided by their mean; unchanged if the mean is 1."""
    return values / values.mean() if needs_scaling(values) else values
