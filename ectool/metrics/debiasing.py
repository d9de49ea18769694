"""How much a classifier leans on the background (Xiao et al., Noise or Signal, ICLR 2021)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from ectool.metrics.proportions import paired_shares_interval
from ectool.metrics.statistics import Estimate, paired


def background_gaps(
    correct_mixed_same: Bool[np.ndarray, "n"], correct_mixed_rand: Bool[np.ndarray, "n"]
) -> Float64[np.ndarray, "n"]:
    """Return every sample's part in the background gap; their mean is the gap.

    Args:
        correct_mixed_same: Whether each object is recognised over another background of its
            own class.
        correct_mixed_rand: Whether the same object, in the same place of the array, is
            recognised over a background of a random class.

    Returns:
        1 where only the matching background helps, -1 where only the random one does, else 0.
    """
    return np.asarray(correct_mixed_same, np.float64) - np.asarray(correct_mixed_rand, np.float64)


def background_gap(
    correct_mixed_same: Bool[np.ndarray, "n"], correct_mixed_rand: Bool[np.ndarray, "m"]
) -> Estimate:
    """Estimate BG-Gap: accuracy on mixed-same minus accuracy on mixed-rand.

    ``BG-Gap = mean(correct_mixed_same) - mean(correct_mixed_rand)``, section 4 of Xiao et al.
    2021, https://arxiv.org/abs/2006.09994; the interval (95 %) is ours, Tango's of paired shares.

    Args:
        correct_mixed_same: Whether each object is recognised over another background of its
            own class.
        correct_mixed_rand: The same objects, in the same order, over a background of a random
            class.

    Returns:
        The gap, -1 to 1; 0 for a classifier that ignores the background.

    Raises:
        InputError: The sides differ in length.
    """
    same, rand = paired(correct_mixed_same, correct_mixed_rand)
    return paired_shares_interval(same - rand)
