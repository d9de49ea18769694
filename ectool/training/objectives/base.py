"""What a training objective is: a module that maps a model and a batch to a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from ectool.models.classifier import Classifier
from ectool.models.objective import Labels
from ectool.training.batch import BatchLoss, Position, TrainingBatch

Batches = Callable[[], Iterable[TrainingBatch]]
"""Returns the clean training images in batches, in the order of the data set, not augmented."""


class Objective(nn.Module):
    """Loss of a training step.

    It is a torch module, so that its state is saved and resumed with the model: buffers that hold a
    value per sample, or further networks, whose parameters the optimizer of the model also trains.
    """

    def begin(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batches: Batches,
        position: Position,
    ) -> None:
        """Prepare an epoch of the objective; nothing by default.

        Args:
            model: The model; an objective may change it, and leaves its mode as it was.
            optimizer: Its optimizer.
            batches: The training images.
            position: The first step of the epoch.
        """

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the loss of a batch, with a graph to the parameters.

        Args:
            model: Maps pixels in [0, 1] to logits; in training mode, and left so.
            batch: The batch.
            position: Position of the step.
        """
        raise NotImplementedError

    def after(self, model: nn.Module, batch: TrainingBatch, position: Position) -> None:
        """Update the state after the optimizer's step; nothing by default."""

    def statistics(self) -> dict[str, float]:
        """Return numbers of the last epoch for the learning curves; none by default."""
        return {}


@dataclass(frozen=True)
class Setup:
    """What an objective is made from.

    Attributes:
        settings: The options that apply to it, by name.
        model: The model to train; not changed by making the objective.
        labels: Labels of all training samples, by row, on the device of the model.
        groups: Group of each sample, by row, for objectives that need groups; else None.
        image_shape: Channels, height and width of the images.
        moves: Whether augmentation moves the pixels of a sample between epochs.
    """

    settings: Mapping[str, Any]
    model: Classifier
    labels: Labels
    groups: Int64[Tensor, "n"] | None
    image_shape: tuple[int, int, int]
    moves: bool = False
