"""Heatmaps that are the same everywhere: they show nothing, and no mask follows from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ectool.consistency.similarity import is_constant

if TYPE_CHECKING:
    from torch import Tensor

FINDING = "constant_heatmaps"
UNDEFINED = "undefined_heatmaps"
ZERO = "zero_maps"
UNALTERED = "unaltered_logits"


class ConstantMaps:
    """Counts the constant maps of a shard, batch by batch."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, maps: Tensor, targets: Tensor) -> None:
        """Count those of a batch (n, ..., h, w); maps for no target (-1) do not count."""
        flat = is_constant(maps.detach().float().cpu().numpy())
        self.count += int((flat & (targets >= 0).cpu().numpy()).sum())

    def take(self) -> dict[str, int]:
        """Return the finding, where there is one, and begin anew."""
        count, self.count = self.count, 0
        return {FINDING: count} if count else {}
