"""Heatmaps that are the same everywhere: they show nothing, and no mask follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ectool.consistency.similarity import is_constant
from ectool.types import Reporter

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


def warn(findings: Mapping[str, float], what: object, length: int, reporter: Reporter) -> None:
    """Note that heatmaps are constant, or all of them zero, where findings say so.

    Single zero maps are no surprise behind a ReLU, and are counted without a word.

    Args:
        findings: What was counted.
        what: The artifact.
        length: Its number of samples.
        reporter: Whom to tell.
    """
    if any(name.startswith(ZERO) and count >= length for name, count in findings.items()):
        reporter.note(
            f"warning: {what}: all heatmaps are zero, so they show nothing; check the model, or "
            "choose another --layer or --method"
        )
    meant = (FINDING, UNDEFINED)
    count = sum(int(n) for name, n in findings.items() if name.startswith(meant))
    if unaltered := int(findings.get(UNALTERED, 0)):
        reporter.note(
            f"warning: {what}: random weights left {unaltered} logits as they were, so some blocks "
            "were not randomised; see its tables"
        )
    if count:
        reporter.note(
            f"warning: {what}: {count} heatmaps are constant (or zero), so they show nothing and "
            "no background follows from them; choose a layer with a larger map (--layer), a larger "
            "--size or another --method"
        )
