"""Just Train Twice: train again with larger weights for what the first training misclassifies."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ectool.attacks.objectives import is_misclassified
from ectool.config.objectives import START
from ectool.errors import UsageError
from ectool.models.modes import frozen
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.losses import weighted_loss
from ectool.training.objectives.base import Batches, Objective, Setup


class JustTrainTwice(Objective):
    """Minimize ``mean_i v_i * weights_i * loss_i`` with a larger v_i on the error set.

    Liu et al. 2021 (arXiv 2107.09044). The epochs before the objective train the identification
    model. The error set is what it misclassifies, in evaluation mode, for multi-label data in any
    label. Then training starts again, with the first weights, an empty optimizer and a new learning
    rate schedule, in the remaining epochs. ``v = strength`` on the error set and 1 elsewhere,
    divided by the mean over the data set. Deviations: weights in place of repeated samples, so an
    epoch does not become longer; the identification model has its own schedule over its epochs.

    Cost: 1 forward and 1 backward pass; 1 forward pass over the data set in between.
    """

    factors: Tensor
    identified: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        if not setup.settings[START] > 0:
            raise UsageError(
                "--objective-start",
                expected="a share of the epochs above 0, for the identification model of jtt",
                got="0",
                fix="give one, such as 0.2",
            )
        self.strength = setup.settings["strength"]
        self.register_buffer("factors", torch.ones(len(setup.labels)))
        self.register_buffer("identified", torch.tensor(False))
        self.first = _Snapshot(setup.model)

    def begin(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Batches,
        position: Position,  # noqa: ARG002 (one signature for all)
    ) -> None:
        """Find the error set in the first epoch of the objective, and start again."""
        if self.identified:
            return
        with frozen(model), torch.no_grad():
            for batch in batches():
                errors = is_misclassified(model(batch.pixels), batch.labels)
                factors = torch.where(errors, self.strength, 1.0)
                self.factors[batch.part.whole(batch.rows)] = batch.part.whole(factors)
        self.factors /= self.factors.mean()
        self.identified.fill_(True)
        self.first.restore(model)
        optimizer.state.clear()

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean weighted loss."""
        logits = model(batch.pixels)
        weights = batch.weights * self.factors[batch.rows]
        return BatchLoss(weighted_loss(logits, batch.labels, weights), logits)


class _Snapshot(nn.Module):
    """The state of a model, as buffers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        for name, value in model.state_dict().items():
            self.register_buffer(name.replace(".", "/"), value.clone())

    def restore(self, model: nn.Module) -> None:
        """Give a model this state."""
        buffers = cast(dict[str, Tensor], dict(self.named_buffers()))
        model.load_state_dict({name.replace("/", "."): value for name, value in buffers.items()})
