"""The objective of a classifier: one loss per sample, for one label a sample or for several."""

from __future__ import annotations

from jaxtyping import Float, Int8, Int64
from torch import Tensor
from torch.nn import functional as F

Labels = Int64[Tensor, "n"] | Int8[Tensor, "n c"]


def sample_losses(logits: Float[Tensor, "n c"], labels: Labels) -> Float[Tensor, "n"]:
    """Return the loss of every sample.

    ``CE(logits_i, labels_i)`` for one label a sample; for several the mean of
    ``BCE(sigmoid(logits_ij), labels_ij)`` over the j with ``labels_ij >= 0``. The mean, not the
    sum, so that a sample of which few labels count has the same scale as the others.

    Args:
        logits: One row per sample.
        labels: True classes (n,); or for every class (n, c) 1 where it is present, 0 where it is
            absent and -1 where it does not count.

    Returns:
        At least 0; 0 for a sample none of whose labels counts.
    """
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, reduction="none")
    counts = labels >= 0
    targets = labels.clamp(min=0).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return losses.where(counts, 0).sum(1) / counts.sum(1).clamp(min=1)
