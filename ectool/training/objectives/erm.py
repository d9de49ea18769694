"""Plain training: empirical risk minimization, with sample weights where they are given."""

from __future__ import annotations

from torch import nn

from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.losses import weighted_loss
from ectool.training.objectives.base import Objective, Setup


class ERM(Objective):
    """Minimize ``mean_i weights_i * loss_i``.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup | None = None) -> None:  # noqa: ARG002 (one signature for all)
        super().__init__()

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean weighted loss."""
        logits = model(batch.pixels)
        return BatchLoss(weighted_loss(logits, batch.labels, batch.weights), logits)
