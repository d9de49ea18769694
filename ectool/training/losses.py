"""Losses that weigh samples."""

from __future__ import annotations

from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F


def weighted_cross_entropy(
    logits: Float[Tensor, "n c"], labels: Int64[Tensor, "n"], weights: Float[Tensor, "n"]
) -> Float[Tensor, ""]:
    """Return ``mean_i weights_i * CE(logits_i, labels_i)`` over the batch.

    ``Loss = sum v L`` after Wu et al. 2024 (arXiv 2408.04600). Deviation: the mean over the batch,
    not divided by the batch's own weight sum; weights have mean 1 over the data set, so a batch of
    heavy samples takes a larger step.

    Args:
        logits: One row per sample.
        labels: True classes.
        weights: At least 0, mean 1 over the data set.

    Returns:
        A scalar.
    """
    return (weights * F.cross_entropy(logits, labels, reduction="none")).mean()
