"""The objective of a classifier: a loss for each sample, with one label or multi-label."""

from __future__ import annotations

from jaxtyping import Float, Int8, Int64
from torch import Tensor
from torch.nn import functional as F

Labels = Int64[Tensor, "n"] | Int8[Tensor, "n c"]


def sample_losses(logits: Float[Tensor, "n c"], labels: Labels) -> Float[Tensor, "n"]:
    """Return the loss of every sample.

    ``CE(logits_i, labels_i)`` for one label per sample. For multi-label data it is the mean of
    ``BCE(sigmoid(logits_ij), labels_ij)`` over the j with ``labels_ij >= 0``: the mean, not the
    sum, so that samples with few valid labels have the same scale as the others.

    Args:
        logits: One row per sample.
        labels: True classes (n,); or for every class (n, c) 1 if it is present, 0 if it is absent
            and -1 if it is ignored.

    Returns:
        At least 0; 0 for a sample whose labels are all ignored.
    """
    if labels.ndim == 1:
        return F.cross_entropy(logits, labels, reduction="none")
    is_valid = labels >= 0
    targets = labels.clamp(min=0).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return losses.where(is_valid, 0).sum(1) / is_valid.sum(1).clamp(min=1)
