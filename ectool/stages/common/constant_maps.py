"""Counts of heatmaps that show nothing: constant, zero, or saturated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ectool.scores.similarity import is_constant

if TYPE_CHECKING:
    from torch import Tensor

FINDING = "constant_heatmaps"
UNDEFINED = "undefined_heatmaps"
ZERO = "zero_maps"
SATURATED = "saturated_maps"
EXPLAINED = "explained_labels"
"""Number of heatmaps, where a sample can have several; otherwise that of the samples."""
UNALTERED = "unaltered_logits"


class ConstantMaps:
    """Counts the constant heatmaps of a shard over its batches."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, maps: Tensor, targets: Tensor) -> None:
        """Count those of a batch (n, ..., h, w), without the heatmaps of fillings (target -1)."""
        flat = is_constant(maps.detach().float().cpu().numpy())
        self.count += int((flat & (targets >= 0).cpu().numpy()).sum())

    def take(self) -> dict[str, int]:
        """Return the finding, if any heatmap was constant, and reset the count."""
        count, self.count = self.count, 0
        return {FINDING: count} if count else {}
