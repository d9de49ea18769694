"""Online hard example mining, and the selection of samples by their losses."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from ectool.models.objective import sample_losses
from ectool.options import rounded_up
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup


class OHEM(Objective):
    """Minimize the mean loss of the hardest samples of the batch.

    Shrivastava et al. 2016 (arXiv 1604.03540): of all regions of the images of a batch, only those
    with the highest losses are learned. Deviation: here the regions are whole images, so nothing is
    suppressed because it overlaps. ``ceil(share * n)`` images are learned. Sample weights multiply
    their losses, but do not change which images are the hardest.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.share = setup.settings["share"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean weighted loss of the hardest samples."""
        logits = model(batch.pixels)
        losses = batch.part.whole(sample_losses(logits, batch.labels))
        chosen = lowest(-losses, self.share)
        return BatchLoss((batch.part.whole(batch.weights) * losses)[chosen].mean(), logits)


def lowest(values: Float[Tensor, "n"], share: float) -> Int64[Tensor, "k"]:
    """Return the indices of the lowest ``k = ceil(share * n)`` values; of equal ones, the first.

    Args:
        values: At least one.
        share: In (0, 1].
    """
    count = max(1, rounded_up(share, len(values)))
    return torch.argsort(values.detach(), stable=True)[:count]
