"""Random streams that belong to what they are for, not to when or where they are drawn."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def stream(*parts: str | int) -> np.random.Generator:
    """Return the random stream of some parts, e.g. (seed, sample id, purpose).

    A Philox generator keyed with the first 128 bits of the SHA-256 of the parts, so the draws are
    the same in any batch, order, process or machine, and independent for different parts.

    Args:
        parts: What the stream belongs to; their order counts.
    """
    key = hashlib.sha256(json.dumps(parts).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))
