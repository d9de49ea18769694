"""Plain training for tests of the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from ectool.training.batch import Position, TrainingBatch
from ectool.training.loop import EpochResult, train_epoch
from ectool.training.objectives.erm import ERM


def position(step: int) -> Position:
    """Return the position of a step in the first epoch."""
    return Position(0, step, 0.0, torch.Generator().manual_seed(step))


def plain_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[TrainingBatch],
    rate: Callable[[int], float],
) -> EpochResult:
    """Train one epoch without an objective of its own."""
    return train_epoch(model, optimizer, batches, rate, ERM(), position)
