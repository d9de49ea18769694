"""Weighted losses."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from ectool.models.objective import Labels, sample_losses


def weighted_loss(
    logits: Float[Tensor, "n c"], labels: Labels, weights: Float[Tensor, "n"]
) -> Float[Tensor, ""]:
    """Return ``mean_i weights_i * sample_losses_i`` over the batch.

    ``Loss = sum v L`` after Wu et al. 2024 (arXiv 2408.04600). Deviation: the sum is
    divided by the batch size, not by the sum of its weights; weights have mean 1 over the data set,
    so a batch with large weights takes a larger step.

    Args:
        logits: One row per sample.
        labels: True classes (n,), or present (1), absent (0) and ignored (-1) classes (n, c).
        weights: At least 0, mean 1 over the data set.

    Returns:
        A scalar.
    """
    return (weights * sample_losses(logits, labels)).mean()
