"""Label smoothing."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from ectool.models.objective import sample_losses
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup


class LabelSmoothing(Objective):
    """Minimize ``(1 - s) * loss_i + s * mean_k loss_i(k)`` (Szegedy et al. 2016, arXiv 1512.00567).

    ``loss_i(k)`` is the loss if the true class were k, and s is ``strength``. For multi-label data
    every target moves by s to 1/2.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.strength = setup.settings["strength"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean weighted loss of the smoothed targets."""
        logits, labels = model(batch.pixels), batch.labels
        losses = sample_losses(logits, labels)
        if labels.ndim == 1:
            uniform = -F.log_softmax(logits, 1).mean(1)
        else:
            flipped = labels.where(labels < 0, 1 - labels)
            uniform = (losses + sample_losses(logits, flipped)) / 2
        losses = (1 - self.strength) * losses + self.strength * uniform
        return BatchLoss((batch.weights * losses).mean(), logits)
