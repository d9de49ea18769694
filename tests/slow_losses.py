"""Losses of samples in plain Python, from their definition."""

from __future__ import annotations

import math

from torch import Tensor


def slow_losses(logits: Tensor, labels: Tensor) -> list[float]:
    """Return the cross-entropy of each sample, or its mean binary one over counted labels."""
    pairs = zip(logits.double().tolist(), labels.tolist(), strict=True)
    return [_several(row, label) if labels.ndim > 1 else _one(row, label) for row, label in pairs]


def _one(row: list[float], label: int) -> float:
    return math.log(sum(map(math.exp, row))) - row[label]


def _several(row: list[float], labels: list[int]) -> float:
    terms = [
        math.log(1 + math.exp(-logit if label else logit))
        for logit, label in zip(row, labels, strict=True)
        if label >= 0
    ]
    return sum(terms) / max(len(terms), 1)
