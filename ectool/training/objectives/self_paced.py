"""Self-paced learning."""

from __future__ import annotations

from torch import nn

from ectool.models.objective import sample_losses
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup
from ectool.training.objectives.ohem import lowest


class SelfPaced(Objective):
    """Minimize the mean loss of the easiest samples of the batch, which become more and more.

    Kumar et al. 2010 (NIPS): samples with a loss below 1/K are learned, and K falls until these are
    all samples. Deviations: the threshold is the quantile of the losses of the batch whose share
    rises linearly from ``share`` to 1 over the epochs of the objective; and the sum of the losses
    is divided by their number, so that few samples do not take a smaller step. Sample weights
    multiply the losses, but do not change which samples are the easiest.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.share = setup.settings["share"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean weighted loss of the easiest samples."""
        logits = model(batch.pixels)
        losses = batch.part.whole(sample_losses(logits, batch.labels))
        share = self.share + (1 - self.share) * position.progress
        weighted = batch.part.whole(batch.weights) * losses
        return BatchLoss(weighted[lowest(losses, share)].mean(), logits)
