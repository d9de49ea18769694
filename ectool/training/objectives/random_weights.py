"""Random sample weights: a control."""

from __future__ import annotations

from torch import nn

from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.losses import weighted_loss
from ectool.training.objectives.base import Objective, Setup
from ectool.training.sample_weights import random_weights


class RandomWeights(Objective):
    """Minimize ``mean_i r_i * loss_i`` with random ``r_i``, drawn for each sample and epoch.

    The control of Ren et al. 2018 (arXiv 1803.09050): weights that know nothing of the samples.
    Deviation: ``r_i`` has the exponential distribution of mean 1, not that of a rectified normal
    variable. So the effective sample size is half of the samples.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:  # noqa: ARG002 (one signature for all)
        super().__init__()

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean randomly weighted loss."""
        logits = model(batch.pixels)
        weights = batch.part.draw(
            len(batch.rows),
            lambda count: random_weights(count, position.generator),
            batch.weights.device,
        )
        return BatchLoss(weighted_loss(logits, batch.labels, batch.weights * weights), logits)
