"""Per-sample functions over slices of the sample axis, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Shaped

BLOCK_ELEMENTS = 2**19


def blockwise(
    function: Callable[..., np.ndarray], *arrays: Shaped[np.ndarray, "n ..."]
) -> Float32[np.ndarray, "n"]:
    """Apply a per-sample function to slices small enough to stay in the processor's cache.

    Args:
        function: Maps the slices to one score per sample; its temporaries are bounded by
            ``BLOCK_ELEMENTS`` elements of the first array.
        arrays: Arrays whose axis 0 is the sample.

    Returns:
        The scores of all samples.
    """
    samples = len(arrays[0])
    step = max(1, BLOCK_ELEMENTS * samples // max(1, arrays[0].size))
    scores = np.empty(samples, dtype=np.float32)
    for begin in range(0, samples, step):
        part = slice(begin, begin + step)
        scores[part] = function(*(array[part] for array in arrays))
    return scores
