"""Counts of the current shard, which stay on the device until the shard is finished.

A count that becomes a number of Python waits for the device. So these are added up there, and read
once a shard.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ectool.errors import InputError
from ectool.scores.similarity import is_flat
from ectool.stages.common.constant_maps import FINDING

if TYPE_CHECKING:
    from torch import Tensor


class Tally:
    """Counts and checks of the batches of a shard."""

    def __init__(self) -> None:
        self.discard()

    def discard(self) -> None:
        """Forget the batches since the last shard, which will be computed again."""
        self._sums: list[tuple[str, Tensor]] = []
        self._finite: list[tuple[Tensor, list[str]]] = []
        self._maps: list[tuple[Tensor, Tensor, Tensor]] = []

    def count(self, name: str, found: Tensor) -> None:
        """Count the samples of a batch for which something was found (n,)."""
        self._sums.append((name, found.sum()))

    def check_finite(self, logits: Tensor, sample_ids: list[str]) -> None:
        """Check later that the logits of a batch are finite."""
        self._finite.append((logits.isfinite().all(dim=1), sample_ids))

    def note_maps(self, maps: Tensor, targets: Tensor) -> None:
        """Count the constant heatmaps (n, ..., h, w), without those of fillings (target -1)."""
        grid = maps.detach().float()
        self._maps.append((grid.amin((-2, -1)), grid.amax((-2, -1)), targets >= 0))

    def take(self) -> Counter[str]:
        """Return the counts of a finished shard, and begin the next one.

        Returns:
            Number by name; that of constant heatmaps only if there are any.

        Raises:
            InputError: Logits are not finite; the message names the first sample.
        """
        sums, finite, maps = self._sums, self._finite, self._maps
        self.discard()
        for mask, sample_ids in finite:
            refuse_unless_finite(mask.cpu().numpy(), sample_ids)
        counts = Counter[str]()
        for name, total in sums:
            counts[name] += int(total)
        flat = sum(_count_flat(*(values.cpu().numpy() for values in noted)) for noted in maps)
        if flat:
            counts[FINDING] = flat
        return counts


def refuse_unless_finite(finite: np.ndarray, sample_ids: list[str]) -> None:
    """Check that the logits of all samples of a batch are finite.

    Args:
        finite: Whether those of each sample are.
        sample_ids: The samples.

    Raises:
        InputError: Some are not; the message names the first sample.
    """
    if not finite.all():
        raise InputError(
            "model output",
            expected="finite logits",
            got=f"NaN or infinity for {sample_ids[int(np.argmin(finite))]!r}",
            fix="check the checkpoint and its normalisation",
        )


def _count_flat(low: np.ndarray, high: np.ndarray, is_class: np.ndarray) -> int:
    return int((is_flat(low, high) & is_class).sum())
