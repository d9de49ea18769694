"""Explanation consistency of a training batch, as tensors on the device of the model.

The definitions are those of ``ectool.scores``, with one deviation for undefined similarities.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

Maps = Float[Tensor, "n *k i j"]
Classes = Int64[Tensor, "n *k"]
PerSample = Float[Tensor, "n"]


class Consistency(NamedTuple):
    """Explanation consistency of each sample and its two factors, in [0, 1].

    Attributes:
        similarity: Cosine of clean and perturbed heatmap; NaN where both are zero.
        stability: Probability of the true class for the perturbed image.
        explanation_consistency: Their product E, where the similarity is NaN the stability alone;
            NaN for a multi-label sample without a positive label.
    """

    similarity: PerSample
    stability: PerSample
    explanation_consistency: PerSample


def consistency(
    clean: Maps | None, perturbed: Maps | None, logits: Float[Tensor, "n c"], classes: Classes
) -> Consistency:
    """Return ``E = cos(clean, perturbed) * p_y(perturbed)`` of each sample.

    p is the softmax for one class per sample and the sigmoid for several, and all values are means
    over the classes of a sample. Deviation from `score`: where both heatmaps are zero, E is p, not
    undefined. Such samples are mostly misclassified, and a neutral weight would hide them.

    Args:
        clean: Heatmaps of the clean images; without both, only the stability is defined.
        perturbed: Heatmaps of the perturbed images.
        logits: Logits of the perturbed images.
        classes: The explained classes: the label, or the positive labels, filled up with -1.
    """
    columns = classes.view(len(classes), -1)
    chosen = logits.float().softmax(1) if classes.ndim == 1 else logits.float().sigmoid()
    stability = chosen.gather(1, columns.clamp(min=0))
    if clean is None or perturbed is None:
        similarity = product = torch.full_like(stability, torch.nan)
    else:
        similarity = cosine(_per_class(clean, columns), _per_class(perturbed, columns))
        product = stability.where(similarity.isnan(), similarity * stability)
    is_class = columns >= 0
    return Consistency(*(_mean(values, is_class) for values in (similarity, stability, product)))


def cosine(first: Float[Tensor, "n k p"], second: Float[Tensor, "n k p"]) -> Float[Tensor, "n k"]:
    """Return the cosine of non-negative vectors: NaN for two zeros, 0 for one zero."""
    # In units of the largest value, so that no square over- or underflows.
    first, second = (v / v.amax(-1, keepdim=True).clamp(min=1e-30) for v in (first, second))
    products = (first * second).sum(-1)
    lengths = first.square().sum(-1).sqrt() * second.square().sum(-1).sqrt()
    both_zero = ~(first.any(-1) | second.any(-1))
    cosines = (products / lengths.clamp(min=1e-12)).clamp(0, 1)
    return cosines.masked_fill(both_zero, torch.nan)


def _per_class(maps: Maps, columns: Int64[Tensor, "n k"]) -> Float[Tensor, "n k p"]:
    return maps.reshape(*columns.shape, -1)


def _mean(values: Float[Tensor, "n k"], is_class: Tensor) -> PerSample:
    """Return the mean over the classes of each sample that are defined; NaN without one."""
    return values.masked_fill(~is_class, torch.nan).nanmean(1)
