"""Learning from Failure: a second, biased network finds the samples that contradict the bias."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup

SMOOTHING = 0.7
"""Share of the last value in the moving averages of the losses, as in the authors' code."""
_TINY = 1e-8


class LearningFromFailure(Objective):
    """Minimize ``mean_i weights_i * (GCE(b(x_i)) + W_i * CE(f(x_i)))`` for two networks b and f.

    Nam et al. 2020 (arXiv 2007.02561). ``GCE = (1 - p_y^q) / q`` makes the second network b follow
    the easy samples; q is ``strength``. The relative difficulty is ``W = l_b / (l_b + l_f)``, with
    l the moving average of the cross-entropy of a sample, divided by the maximum of its class, as
    in the authors' code. The second network is part of the objective's state. Deviations: it
    starts with the weights of the first, not with other random ones; their code multiplies GCE by
    q.

    Cost: 2 forward and 2 backward passes.
    """

    labels: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.q = setup.settings["strength"]
        self.network = copy.deepcopy(setup.model).train()
        self.register_buffer("labels", setup.labels.clone(), persistent=False)
        self.of_biased = _SmoothedLosses(len(setup.labels))
        self.of_model = _SmoothedLosses(len(setup.labels))

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean weighted loss of both networks; the logits are those of the model."""
        biased, logits = self.network(batch.pixels), model(batch.pixels)
        hard = F.cross_entropy(biased, batch.labels, reduction="none")
        losses = F.cross_entropy(logits, batch.labels, reduction="none")
        weights = self._difficulty(batch, hard.detach(), losses.detach())
        # p_y^q = exp(-q * CE)
        easy = (1 - (-self.q * hard).exp()) / self.q
        return BatchLoss((batch.weights * (easy + weights * losses)).mean(), logits)

    def _difficulty(
        self, batch: TrainingBatch, biased: Float[Tensor, "n"], losses: Float[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        """Return the relative difficulty of the samples, in [0, 1]."""
        rows = batch.part.whole(batch.rows)
        self.of_biased.update(batch.part.whole(biased), rows)
        self.of_model.update(batch.part.whole(losses), rows)
        of_biased = self.of_biased.relative(batch.rows, self.labels)
        return of_biased / (of_biased + self.of_model.relative(batch.rows, self.labels) + _TINY)


class _SmoothedLosses(nn.Module):
    """Exponential moving average of each sample's loss; the first loss counts fully."""

    values: Tensor
    seen: Tensor

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(samples))
        self.register_buffer("seen", torch.zeros(samples, dtype=torch.bool))

    def update(self, losses: Float[Tensor, "n"], rows: Int64[Tensor, "n"]) -> None:
        """Add the losses of some samples."""
        averages = SMOOTHING * self.values[rows] + (1 - SMOOTHING) * losses
        self.values[rows] = torch.where(self.seen[rows], averages, losses)
        self.seen[rows] = True

    def relative(self, rows: Int64[Tensor, "n"], labels: Int64[Tensor, "m"]) -> Float[Tensor, "n"]:
        """Return averages of some samples, divided by the maximum over all samples of the class."""
        classes = int(labels.max()) + 1
        maxima = self.values.new_zeros(classes).scatter_reduce(0, labels, self.values, "amax")
        return self.values[rows] / maxima[labels[rows]].clamp(min=_TINY)
