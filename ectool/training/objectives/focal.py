"""Focal loss."""

from __future__ import annotations

from torch import nn

from ectool.models.objective import sample_losses
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup


class Focal(Objective):
    """Minimize ``mean_i weights_i * (1 - p_i)^gamma * loss_i`` (Lin et al. 2017, arXiv 1708.02002).

    ``p_i = exp(-loss_i)`` is the probability of the true class. Deviation: no factor per class. For
    multi-label data, p is the geometric mean over the labels.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.gamma = setup.settings["gamma"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean focal loss."""
        logits = model(batch.pixels)
        losses = sample_losses(logits, batch.labels)
        # A clamp, because the gradient of 0^gamma is infinite for gamma below 1.
        focus = (1 - (-losses).exp()).clamp(min=1e-12) ** self.gamma
        return BatchLoss((batch.weights * focus * losses).mean(), logits)
