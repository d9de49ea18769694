"""Protocol of stability, fixed so that models of any training can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StabilityProtocol:
    """Changes of the images in addition to the attacks.

    Attributes:
        corruptions: Kind of the corruption of `consistency_NAME`, by name.
        severity: Severity of the corruptions; 1 of 5 is the weakest.
        radius: Radius of the L-infinity ball of max-sensitivity, in pixel units; captum's default.
        draws: Number of random points of that ball; captum's default.
    """

    corruptions: Mapping[str, str] = field(
        default_factory=lambda: {"noise": "gaussian_noise", "jpeg": "jpeg_compression"}
    )
    severity: int = 1
    radius: float = 0.02
    draws: int = 10
