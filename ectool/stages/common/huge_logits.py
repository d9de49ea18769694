"""Counts of samples with huge logits, which saturate softmax and loss."""

from __future__ import annotations

import numpy as np

from ectool.artifacts.schema import Arrays

HUGE_LOGITS = "samples_with_huge_logits"
"""Finding: samples with a logit beyond `LIMIT`."""
LIMIT = 1e4
"""Largest magnitude of a logit without a finding; a loss in float16 overflows soon above it."""


def huge_logits(arrays: Arrays) -> dict[str, int]:
    """Return the number of samples with a logit beyond `LIMIT`, if there are any.

    Args:
        arrays: Rows of an artifact; logits are the arrays with that word in their names.
    """
    found = [np.abs(a).max(axis=1) > LIMIT for name, a in arrays.items() if "logits" in name]
    count = int(np.any(found, axis=0).sum()) if found else 0
    return {HUGE_LOGITS: count} if count else {}
