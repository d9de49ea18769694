"""The smallest radius at which an attack changes a given share of correct predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ectool.models.objective import Labels


@dataclass(frozen=True)
class FlipLevel:
    """Result of a search.

    Attributes:
        level: The level that was found.
        share: Share of changed predictions at this level.
        evaluations: Number of levels at which the share was measured.
    """

    level: int
    share: float
    evaluations: int


def flip_level(
    share: Callable[[int], float], *, goal: float, first: int, largest: int
) -> FlipLevel:
    """Find the smallest level from 1 on at which a share is at least `goal`.

    The level is doubled, beginning with `first`, until the share is large enough; then the
    interval is halved. The share of an attack does not fall with its radius, except by chance: the
    result is then a level that reaches the goal directly after one that does not.

    Args:
        share: Maps a level to the share of changed predictions; level 0 changes none.
        goal: The wanted share, above 0.
        first: First level to try.
        largest: Largest level, at least `first`; the result if no level reaches the goal.

    Returns:
        Level and share.

    Cost: about ``2 * log2(level)`` calls of `share`; ``1 + log2(first)`` if `first` is enough.
    """
    low, high, found, calls = 0, first, share(first), 1
    while found < goal and high < largest:
        low, high = high, min(2 * high, largest)
        found, calls = share(high), calls + 1
    while high - low > 1 and found >= goal:
        middle = (low + high) // 2
        value, calls = share(middle), calls + 1
        if value >= goal:
            high, found = middle, value
        else:
            low = middle
    return FlipLevel(high, found, calls)


def predicts_label(logits: Float[Tensor, "n c"], labels: Labels) -> Bool[Tensor, "n c"]:
    """Return where a true label is predicted, one column per class.

    Args:
        logits: Logits of the samples.
        labels: True classes; multi-label: 1 for present, 0 for absent, -1 for not counted.

    Returns:
        One label: True at the label if it has the largest logit. Multi-label: True at every present
        label with a logit above 0.
    """
    if labels.ndim == 1:
        classes = torch.arange(logits.shape[1], device=logits.device)
        return (logits.argmax(1) == labels)[:, None] & (classes == labels[:, None])
    return (labels == 1) & (logits > 0)
