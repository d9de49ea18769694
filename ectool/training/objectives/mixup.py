"""Mixup, and what it shares with other mixtures of two images."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.models.objective import sample_losses
from ectool.seeding import stream
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup


class Mixup(Objective):
    """Minimize the loss of convex combinations of two images and of their labels.

    Zhang et al. 2018 (arXiv 1710.09412): ``x = s * x_i + (1 - s) * x_j`` with s of the
    distribution Beta(strength, strength), one per batch, and j a random permutation of the batch.
    Both losses are mixed, which for cross-entropy is the loss of the mixed labels. Their s may be
    below 1/2; here it is replaced by 1 - s then. This gives the same distribution of mixed images,
    and the accuracy of the epoch counts the label of the larger part.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.strength = setup.settings["strength"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean mixed loss of the mixed images."""
        share = draw_share(self.strength, position.generator)
        share = max(share, 1 - share)
        others = draw_others(batch, position.generator)
        other = batch.part.whole(batch.pixels)[others]
        pixels = share * batch.pixels + (1 - share) * other
        logits = model(pixels)
        return BatchLoss(mixed_loss(logits, batch, others, share), logits)


def draw_share(strength: float, generator: torch.Generator) -> float:
    """Draw from Beta(strength, strength), or return 1 for strength 0.

    Not with torch, whose distribution takes no generator.
    """
    if strength == 0:
        return 1.0
    key = int(torch.randint(2**62, (), generator=generator))
    return float(stream(key, "beta").beta(strength, strength))


def draw_others(batch: TrainingBatch, generator: torch.Generator) -> Int64[Tensor, "n"]:
    """Draw the second image of each mixture: a permutation of the whole batch of all ranks."""
    rows = batch.rows
    return batch.part.draw(
        len(rows), lambda count: torch.randperm(count, generator=generator), rows.device
    )


def mixed_loss(
    logits: Float[Tensor, "n c"], batch: TrainingBatch, others: Int64[Tensor, "n"], share: float
) -> Float[Tensor, ""]:
    """Return ``mean_i share * w_i * loss_i + (1 - share) * w_j * loss_j`` with ``j = others_i``.

    Args:
        logits: Of the mixed images.
        batch: Labels and sample weights.
        others: The second image of each mixture, in the whole batch of all ranks.
        share: Share of the first image, in [0, 1].
    """
    labels = batch.part.whole(batch.labels)[others]
    own = batch.weights * sample_losses(logits, batch.labels)
    other = batch.part.whole(batch.weights)[others] * sample_losses(logits, labels)
    return (share * own + (1 - share) * other).mean()
