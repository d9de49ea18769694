"""Wilson's interval of a share, for metrics and reports. No heavy imports."""

from __future__ import annotations

import math
from statistics import NormalDist


def normal_quantile(confidence: float) -> float:
    """Return the quantile ``(1 + confidence) / 2`` of the standard normal distribution.

    Args:
        confidence: Probability of a two-sided interval, 0 to 1.

    Returns:
        1.96 for a confidence of 0.95.
    """
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson_bounds(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927, doi 10.1080/01621459.1927.10502953).

    ``centre -+ half`` with ``centre = (n share + z^2 / 2) / (n + z^2)`` and
    ``half = z / (n + z^2) * sqrt(n share (1 - share) + z^2 / 4)``.

    Args:
        share: The share, 0 to 1.
        n: Number of samples, above 0; the effective number may be a fraction.
        quantile: z, of the standard normal distribution; Student's for an estimated variance.

    Returns:
        Lower and upper end, within 0 and 1; exactly 0 or 1 where the share is.
    """
    square = quantile**2
    centre = (n * share + square / 2) / (n + square)
    half = quantile / (n + square) * math.sqrt(n * (share * (1 - share)) + square / 4)
    low = max(centre - half, 0.0) if share > 0 else 0.0
    return low, min(centre + half, 1.0) if share < 1 else 1.0
