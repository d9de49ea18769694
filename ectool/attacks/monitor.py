"""Monitor an attack: whether gradients were usable, and whether the loss changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class AttackMonitor:
    """Gradients and losses observed during an attack, for every image of a batch.

    An attack without a gradient, or with a constant loss, is no evidence of robustness: a network
    that rounds its input, or is saturated, resists it by gradient masking (Athalye et al. 2018,
    arXiv 1802.00420; Carlini et al. 2019, arXiv 1902.06705).

    Attributes:
        rows: Indices of the monitored images in the whole batch.
        has_gradient: Whether an image had a finite, nonzero gradient in any step.
        min_loss: Minimum finite loss of each image.
        max_loss: Maximum finite loss of each image.
    """

    rows: Int64[Tensor, "m"]
    has_gradient: Bool[Tensor, "n"]
    min_loss: Float[Tensor, "n"]
    max_loss: Float[Tensor, "n"]

    @classmethod
    def of(cls, count: int, device: torch.device) -> AttackMonitor:
        """Start with no observation of `count` images."""
        min_loss = torch.full((count,), torch.inf, device=device)
        has_gradient = torch.zeros(count, dtype=torch.bool, device=device)
        return cls(torch.arange(count, device=device), has_gradient, min_loss, -min_loss)

    def note(self, losses: Float[Tensor, "m"], gradient: Float[Tensor, "m c h w"]) -> None:
        """Record a step, without synchronizing with the device."""
        magnitude = gradient.abs().amax((1, 2, 3))
        self.has_gradient[self.rows] |= (magnitude > 0) & (magnitude < torch.inf)  # False for NaN
        values = losses.float()
        self.min_loss[self.rows] = self.min_loss[self.rows].fmin(values)
        self.max_loss[self.rows] = self.max_loss[self.rows].fmax(values)

    def take(self, rows: Int64[Tensor, "k"]) -> AttackMonitor:
        """Monitor some of the images; the records are shared."""
        return replace(self, rows=self.rows[rows])

    def without_gradient(self) -> Bool[Tensor, "n"]:
        """Return which images had no usable gradient in any step."""
        return ~self.has_gradient

    def with_constant_loss(self) -> Bool[Tensor, "n"]:
        """Return which images had the same loss in all steps."""
        return self.max_loss <= self.min_loss
