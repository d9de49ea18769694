"""Weights of the training samples, from explanation consistency that is measured in the batch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.training.ranks.part import WHOLE, Part

MEMORY = 0.95
"""Share of the running mean that remains in each step."""
_TINY = 1e-6


class SampleWeights(nn.Module):
    """The weight of each sample, as a buffer that is saved and resumed.

    ``v = (1 - E)^gamma``, divided by the running mean of v over the batches, because the mean over
    the data set is only known afterwards; then ``v = momentum * last + (1 - momentum) * v``, and at
    most the cap. ``v = 1 - E`` after Wu et al. 2024 (arXiv 2408.04600); the rest is our choice.
    Early batches of an epoch are scored by an earlier model than late ones, and by another mean.

    Args:
        samples: Number of samples.
        gamma: Exponent, at least 0.
        cap: Maximum weight, at least 1.
        momentum: Share of the last weight, in [0, 1).
    """

    weight: Tensor
    mean: Tensor

    def __init__(self, samples: int, *, gamma: float, cap: float, momentum: float) -> None:
        super().__init__()
        self.gamma, self.cap, self.momentum = gamma, cap, momentum
        self.register_buffer("weight", torch.ones(samples))
        self.register_buffer("mean", torch.zeros(()))

    def update(
        self,
        rows: Int64[Tensor, "n"],
        explanation_consistency: Float[Tensor, "n"],
        *,
        first: bool,
        part: Part = WHOLE,
    ) -> Float[Tensor, "n"]:
        """Score the samples of a batch, store their weights and return them.

        Args:
            rows: Rows of the samples in the data set.
            explanation_consistency: E in [0, 1]; NaN gives the weight 1.
            first: Whether the samples have no weight yet, so that momentum has no effect.
            part: Which part of the batch of all ranks these are.
        """
        rows = part.whole(rows)
        lack = (1 - part.whole(explanation_consistency)).clamp(min=0) ** self.gamma
        now = lack.nanmean().nan_to_num(1.0)
        self.mean.copy_(torch.where(self.mean == 0, now, MEMORY * self.mean + (1 - MEMORY) * now))
        # The small term gives equal weights where E is 1 for all samples.
        weights = ((lack + _TINY) / (self.mean + _TINY)).nan_to_num(1.0)
        if not first:
            weights = torch.lerp(weights, self.weight[rows], self.momentum)
        weights = weights.clamp(max=self.cap)
        self.weight[rows] = weights
        return part.own(weights)

    def read(self, rows: Int64[Tensor, "n"]) -> Float[Tensor, "n"]:
        """Return the last weights of some samples."""
        return self.weight[rows]

    def scale(self) -> None:
        """Scale the weights of all samples to mean 1 over the data set."""
        self.weight.div_(self.weight.mean())


def random_weights(count: int, generator: torch.Generator) -> Float[Tensor, "n"]:
    """Draw weights of the exponential distribution with mean 1, as a control."""
    return -torch.log1p(-torch.rand(count, generator=generator))
