"""Distributionally robust optimization over groups."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ectool.models.objective import sample_losses
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup


class GroupDRO(Objective):
    """Minimize ``sum_g q_g * loss_g`` while q moves to the groups with the highest loss.

    Sagawa et al. 2020 (arXiv 1911.08731), algorithm 1: in each step first
    ``q_g <- q_g * exp(step_size * loss_g)``, divided by the sum, then the step of the model.
    Deviation: batches are drawn from all samples, not balanced by groups. So the loss of a group is
    ``sum of its losses in the batch / (n * its share of the data)``, whose expectation is the mean
    loss of the group, as theirs. Their adjustment for the size of groups is left out, as by their
    default. Groups without training samples do not count.

    The background decides groups, so this uses labels that the other objectives do not have: it is
    an upper bound.

    Cost: 1 forward and 1 backward pass.

    Raises:
        ValueError: There are no groups.
    """

    groups: Tensor
    shares: Tensor
    q: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        if setup.groups is None:
            raise ValueError("group-dro needs groups")
        self.step_size = setup.settings["step_size"]
        counts = torch.bincount(setup.groups).float()
        self.register_buffer("groups", setup.groups, persistent=False)
        self.register_buffer("shares", counts / counts.sum(), persistent=False)
        self.register_buffer("q", (counts > 0).float() / (counts > 0).sum())

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Update q, and return the loss of the groups weighted with it."""
        logits = model(batch.pixels)
        losses = batch.part.whole(batch.weights * sample_losses(logits, batch.labels))
        groups = self.groups[batch.part.whole(batch.rows)]
        # One row per group and no scatter, whose sums are not reproducible on accelerators.
        members = groups == torch.arange(len(self.q), device=groups.device)[:, None]
        sums = losses.where(members, 0).sum(1)
        means = sums / (len(losses) * self.shares.clamp(min=torch.finfo(sums.dtype).tiny))
        raised = self.q * (self.step_size * means.detach()).exp()
        self.q.copy_(raised / raised.sum())
        return BatchLoss((self.q * means).sum(), logits)
