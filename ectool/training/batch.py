"""Batch of a training step, and the position of the step in the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ectool.models.objective import Labels
from ectool.seeding import stream
from ectool.training.ranks.part import WHOLE, Part


@dataclass(frozen=True)
class TrainingBatch:
    """Batch of one training step.

    Attributes:
        pixels: RGB in [0, 1].
        labels: True classes (n,), or present (1), absent (0) and ignored (-1) classes (n, c).
        weights: Sample weights.
        rows: Rows of the samples in the data set.
        share: Size of the batch divided by the mean batch size of the epoch; a factor on the loss,
            so that all samples of the epoch have the same influence. For the part of a rank, the
            size of the part.
        part: Which part of the batch of all ranks this is.
    """

    pixels: Float[Tensor, "n 3 h w"]
    labels: Labels
    weights: Float[Tensor, "n"]
    rows: Int64[Tensor, "n"]
    share: float = 1.0
    part: Part = WHOLE


@dataclass(frozen=True)
class Position:
    """Position of a step in the training.

    Attributes:
        epoch: Epoch, from 0.
        step: Step within the epoch, from 0.
        progress: Share of the objective's own epochs that are over, in [0, 1): 0 in its first step.
        generator: Random numbers of the step, on the CPU; they depend on seed, epoch and step only.
    """

    epoch: int
    step: int
    progress: float
    generator: torch.Generator


def step_generator(seed: int, epoch: int, step: int) -> torch.Generator:
    """Return the random numbers of a step, on the CPU."""
    key = int(stream(seed, epoch, step, "objective").integers(2**63))
    return torch.Generator().manual_seed(key)


class BatchLoss(NamedTuple):
    """Loss of a batch, and the predictions that it comes from.

    Attributes:
        loss: Scalar to minimize, before the factor ``share`` of the batch: the mean over its
            samples; of a part, either the mean over its own samples, or the same mean over the
            whole batch on every rank.
        logits: Logits of the images of the batch, or of the changed images the model learns from.
    """

    loss: Float[Tensor, ""]
    logits: Float[Tensor, "n c"]
