"""How much a classifier relies on the background (Xiao et al., Noise or Signal, ICLR 2021)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from ectool.metrics.statistics import paired


def background_gaps(
    correct_mixed_same: Bool[np.ndarray, "n"], correct_mixed_rand: Bool[np.ndarray, "m"]
) -> Float64[np.ndarray, "n"]:
    """Return every sample's part in the background gap; their mean is the gap.

    ``BG-Gap = mean(correct_mixed_same) - mean(correct_mixed_rand)``, section 4 of Xiao et al.
    2021, https://arxiv.org/abs/2006.09994.

    Args:
        correct_mixed_same: Whether each object is classified correctly on another background of
            its own class.
        correct_mixed_rand: The same objects, in the same order, on a background of a random class.

    Returns:
        1 where only the matching background helps, -1 where only the random one does, else 0.

    Raises:
        InputError: The sides differ in length.
    """
    same, rand = paired(correct_mixed_same, correct_mixed_rand)
    return np.asarray(same - rand)
