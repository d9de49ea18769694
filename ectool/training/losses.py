"""Losses of samples: weighted, between two predictions, and those that attacks maximize."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from ectool.attacks.losses import LOSSES, Loss, log_odds
from ectool.models.objective import Labels, sample_losses

# The gradient of the log-odds has the direction of that of the cross-entropy, and does not vanish
# where the probability of the label rounds to 1.
_SINGLE = Loss(log_odds, multilabel=False)


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


def divergence(
    logits: Float[Tensor, "n c"], others: Float[Tensor, "n c"], labels: Labels
) -> Float[Tensor, "n"]:
    """Return the divergence ``KL(p || q)`` of Kullback and Leibler for every sample.

    ``sum_k p_k (log p_k - log q_k)`` of the probabilities of the classes. For multi-label data the
    mean over the labels that are not ignored of the divergence between present and absent.

    Args:
        logits: Logits of p.
        others: Logits of q.
        labels: True labels; only their shape matters, and which are ignored.

    Returns:
        At least 0, up to rounding.
    """
    if labels.ndim == 1:
        p, q = F.log_softmax(logits, 1), F.log_softmax(others, 1)
        return (p.exp() * (p - q)).sum(1)
    valid = labels >= 0
    present = logits.sigmoid() * (F.logsigmoid(logits) - F.logsigmoid(others))
    absent = (-logits).sigmoid() * (F.logsigmoid(-logits) - F.logsigmoid(-others))
    return (present + absent).where(valid, 0).sum(1) / valid.sum(1).clamp(min=1)


def attack_loss(labels: Labels) -> Loss:
    """Return the loss that attacks inside a training step maximize.

    Args:
        labels: True labels; only their shape matters.
    """
    return _SINGLE if labels.ndim == 1 else LOSSES["bce"]
