"""Protocol of faithfulness, fixed so that models and methods can be compared."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FaithfulnessProtocol:
    """Steps, shares and patches of the papers.

    Attributes:
        steps: Number of steps of insertion and deletion; 28, as 224 x 8 pixels per step in the
            authors' evaluation of ImageNet (Petsiuk et al. 2018).
        shares: Shares of the pixels that ROAD removes (Rong et al. 2022).
        patch: Side in pixels of the patches that pixel flipping replaces (Samek et al. 2017).
        patches: Max number of patches that pixel flipping replaces.
    """

    steps: int = 28
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    patch: int = 9
    patches: int = 100

    def patch_in(self, size: tuple[int, int]) -> int:
        """Return the side of patches that fit into images of a size."""
        return min(self.patch, *size)

    def patches_in(self, size: tuple[int, int]) -> int:
        """Return the number of patches of images of a size."""
        return math.prod(-(-side // self.patch_in(size)) for side in size)
