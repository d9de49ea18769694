"""Seeing whether an attack had anything to follow: gradients, and a loss that changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Watch:
    """What was seen of an attack's steps, of all images of a batch.

    An attack that had no gradient, or whose steps left the loss as it was, has shown nothing: a
    network that rounds its input, or is saturated, withstands it without being robust (Athalye et
    al. 2018, arXiv 1802.00420; Carlini et al. 2019, arXiv 1902.06705).

    Attributes:
        rows: Which images of the batch this one looks at.
        guided: Whether an image had a gradient that is finite and not zero, in any step.
        least: The least finite loss that was seen of each.
        greatest: The greatest.
    """

    rows: Int64[Tensor, "m"]
    guided: Bool[Tensor, "n"]
    least: Float[Tensor, "n"]
    greatest: Float[Tensor, "n"]

    @classmethod
    def of(cls, count: int, device: torch.device) -> Watch:
        """Begin to look at so many images."""
        least = torch.full((count,), torch.inf, device=device)
        guided = torch.zeros(count, dtype=torch.bool, device=device)
        return cls(torch.arange(count, device=device), guided, least, -least)

    def note(self, losses: Float[Tensor, "m"], gradient: Float[Tensor, "m c h w"]) -> None:
        """See a step; nothing waits for the device."""
        size = gradient.abs().amax((1, 2, 3))
        self.guided[self.rows] |= (size > 0) & (size < torch.inf)  # False for NaN
        found = losses.float()
        self.least[self.rows] = self.least[self.rows].fmin(found)
        self.greatest[self.rows] = self.greatest[self.rows].fmax(found)

    def take(self, rows: Int64[Tensor, "k"]) -> Watch:
        """Look at some of the images on; what is seen is kept together."""
        return replace(self, rows=self.rows[rows])

    def unguided(self) -> Bool[Tensor, "n"]:
        """Tell which images never had a gradient to follow."""
        return ~self.guided

    def flat(self) -> Bool[Tensor, "n"]:
        """Tell of which images no step has changed the loss."""
        return self.greatest <= self.least
