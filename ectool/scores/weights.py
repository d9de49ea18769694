"""Weights of training samples from their explanation consistency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from ectool.errors import InputError

ROUNDING = 1e-9


@dataclass(frozen=True)
class Weights:
    """Sample weights of mean 1, with counts of capped, flattened and undefined ones.

    Attributes:
        weight: Weight of every sample, at least 0 and at most the cap.
        effective_sample_size: ``(sum v)² / sum v²``, from 1 to the number of samples.
        capped: Number of samples whose weight was reduced to the cap.
        flattened: Share of uniform weights that was mixed in to reach the floor, or 0.
        undefined: Number of samples without explanation consistency.
    """

    weight: Float32[np.ndarray, "n"]
    effective_sample_size: float
    capped: int
    flattened: float
    undefined: int


def explanation_consistency(
    similarity: Float32[np.ndarray, "n *k"], stability: Float32[np.ndarray, "n *k"]
) -> Float32[np.ndarray, "n *k"]:
    """Return ``E = similarity * stability`` of every sample, or of each of its labels.

    Args:
        similarity: Similarity of the heatmaps in [0, 1], NaN if undefined.
        stability: Stability of the predictions in [0, 1], NaN if undefined.

    Returns:
        Consistency in [0, 1], NaN where either part is undefined.
    """
    product: np.ndarray = similarity * stability
    return product


def sample_weights(
    explanation_consistency: Float[np.ndarray, "n"],
    *,
    gamma: float,
    cap: float,
    floor: float,
    previous: Float[np.ndarray, "n"] | None = None,
    momentum: float = 0.0,
) -> Weights:
    """Turn explanation consistency into sample weights of mean 1.

    The steps, in this order:

    - ``v = (1 - E)**gamma`` scaled to mean 1 (``v = 1 - E`` after Wu et al. 2024, arXiv 2408.04600;
      the exponent and the further steps are our choice).
    - ``v = momentum * previous + (1 - momentum) * v``.
    - v is scaled again so that ``min(v, cap)`` has mean 1.
    - Where the effective sample size is less than ``floor * n``, v is mixed with the smallest share
      of uniform weights that reaches it.

    An undefined E gets the neutral v = 1. If E is 1 for every sample, all weights are 1.

    Args:
        explanation_consistency: E of every sample, in [0, 1]; NaN if undefined.
        gamma: Exponent, at least 0; 0 gives uniform weights.
        cap: Max weight, at least 1; may be infinite.
        floor: Min effective sample size as a share of n, in [0, 1].
        previous: Weights of the last round for the same samples in the same order.
        momentum: Share of the last round's weights, in [0, 1]; without them it has no effect.

    Returns:
        The weights, with counts.

    Raises:
        InputError: If there are no samples, ``cap`` is less than 1, or ``previous`` is not finite
            and non-negative throughout.
    """
    _check(explanation_consistency, cap, previous)
    undefined = np.isnan(explanation_consistency)
    fresh = _mean_one_powers(explanation_consistency, undefined, gamma)
    mixed = fresh if previous is None else momentum * previous + (1 - momentum) * fresh
    capped_weights, capped = _scale_under_cap(mixed, cap)
    weight, flattened = _flatten(capped_weights, floor)
    return Weights(
        weight=weight.astype(np.float32),
        effective_sample_size=effective_sample_size(weight),
        capped=capped,
        flattened=flattened,
        undefined=int(undefined.sum()),
    )


def effective_sample_size(weight: Float[np.ndarray, "n"]) -> float:
    """Return Kish's effective sample size, ``(sum v)² / sum v²``.

    Args:
        weight: Non-negative weights, not all zero.

    Returns:
        From 1 (one sample has all the weight) to n (uniform weights).
    """
    wide = weight.astype(np.float64)
    return float(wide.sum() ** 2 / np.square(wide).sum())


def _mean_one_powers(
    consistency: np.ndarray, undefined: np.ndarray, gamma: float
) -> Float64[np.ndarray, "n"]:
    """Return ``(1 - E)**gamma`` over its mean, and 1 where E is undefined."""
    lack = (1.0 - consistency[~undefined].astype(np.float64)).clip(min=0.0)
    weights = np.ones(len(consistency))
    largest = lack.max(initial=0.0)
    if largest == 0:
        return weights
    # In units of the largest, so that a high power does not make all of them underflow.
    powers = (lack / largest) ** gamma
    weights[~undefined] = powers / powers.mean()
    return weights


def _scale_under_cap(weights: np.ndarray, cap: float) -> tuple[Float64[np.ndarray, "n"], int]:
    """Scale the weights so that their minimum with the cap has mean 1, and count the capped ones.

    With the j largest weights at the cap, the others must be scaled by
    ``(n - j * cap) / (sum of the others)``. The result is that of the smallest j for which all
    others stay below the cap. Where the mean is below 1 with all positive weights at the cap, the
    zero weights share the remainder.
    """
    n = len(weights)
    cap = min(cap, float(n))
    positive = weights > 0
    count = int(positive.sum())
    if count * cap < n:
        remainder = (n - count * cap) / max(1, n - count)
        return np.where(positive, cap, remainder), count
    descending = np.sort(weights[positive])[::-1]
    rest = descending[::-1].cumsum()[::-1]
    scales = (n - np.arange(count) * cap) / rest
    fits = scales * descending <= cap * (1 + ROUNDING)
    capped = int(fits.argmax())
    return np.minimum(weights * scales[capped], cap), capped


def _flatten(weights: np.ndarray, floor: float) -> tuple[Float64[np.ndarray, "n"], float]:
    """Mix weights of mean 1 with uniform ones until the effective sample size is the floor.

    The effective sample size is ``n / (1 + variance)``. A share s of uniform weights multiplies the
    variance by ``(1 - s)**2``.
    """
    variance = float(np.square(weights - 1).mean())
    if floor * (1 + variance) <= 1:
        return weights, 0.0
    share = 1 - math.sqrt((1 / floor - 1) / variance)
    return (1 - share) * weights + share, share


def _check(consistency: np.ndarray, cap: float, previous: np.ndarray | None) -> None:
    if len(consistency) == 0:
        raise InputError(
            "explanation consistency",
            expected="at least one sample",
            got="none",
            fix="score a data set that is not empty",
        )
    if not cap >= 1:
        raise InputError(
            "cap", expected="at least 1, the mean weight", got=f"{cap}", fix="raise the cap"
        )
    if previous is not None and not (np.isfinite(previous) & (previous >= 0)).all():
        raise InputError(
            "previous weights",
            expected="finite and non-negative",
            got="others",
            fix="use the weights that the last round wrote",
        )
