"""How stability is measured: fixed, so that models compare however they were trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StabilityProtocol:
    """What is done to images besides the attacks.

    Attributes:
        corruptions: Kind of the corruption behind `consistency_NAME`, by name.
        severity: Theirs: of 1 to 5 the one that changes least.
        radius: Of the L-infinity ball of max-sensitivity, in pixel units; captum's default.
        draws: Points of that ball; captum's default.
    """

    corruptions: Mapping[str, str] = field(
        default_factory=lambda: {"noise": "gaussian_noise", "jpeg": "jpeg_compression"}
    )
    severity: int = 1
    radius: float = 0.02
    draws: int = 10
