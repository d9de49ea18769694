"""Random streams that depend on their purpose, not on when or where they are drawn."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def stream(*parts: str | int) -> np.random.Generator:
    """Return the random stream of a key, e.g. (seed, sample id, purpose).

    It is a Philox generator, keyed with the first 128 bits of the SHA-256 of the parts. So the
    random numbers are the same in any batch, order, process or machine, and independent for
    different keys.

    Args:
        parts: Parts of the key; their order matters.
    """
    key = hashlib.sha256(json.dumps(parts).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16], "little")))
