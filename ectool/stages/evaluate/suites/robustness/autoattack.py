"""AutoAttack from torchattacks, to check that our attacks are not weaker."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ectool.config.evaluation_attacks import TARGETS
from ectool.models.classifier import Classifier
from ectool.stages.common.batches import AttackBatch
from ectool.stages.evaluate.suites.robustness.conditions import Condition

NORMS = {"linf": "Linf", "l2": "L2"}


class Contiguous(nn.Module):
    """A network with contiguous gradients, which torchattacks requires.

    Args:
        network: The network; its gradients may be in channels-last format.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits; flattening the pixels makes their gradient contiguous."""
        logits: Tensor = self.network(pixels.flatten(1).view(pixels.shape))
        return logits


@dataclass(frozen=True)
class AutoAttack:
    """The standard ensemble: APGD-CE, targeted APGD and FAB, Square (Croce & Hein 2020).

    torchattacks draws random numbers for a whole batch, so these logits depend on the batch size.
    Results outside the ball are projected into it.

    Attributes:
        model: A frozen classifier of at least 4 classes.
        condition: Radius.
        seed: Seed of every attack.
    """

    model: Classifier
    condition: Condition
    seed: int

    def __call__(self, batch: AttackBatch) -> Tensor:
        """Return the logits of attacked images; over 5,000 passes for a robust image."""
        eps, norm = self.condition.eps, self.condition.norm
        attack = importlib.import_module("torchattacks").AutoAttack(
            # A new module is in training mode, and torchattacks would put the model into it, too.
            Contiguous(self.model).eval(),
            norm=NORMS[norm],
            eps=eps,
            version="standard",
            n_classes=min(batch.logits.shape[1], TARGETS + 1),
            seed=self.seed,
        )
        devices = [batch.pixels.device] if batch.pixels.is_cuda else []
        with torch.random.fork_rng(devices):
            perturbed = attack(batch.pixels.contiguous(), batch.labels)
        ball = batch.ball(norm, eps)
        with torch.no_grad():
            logits: Tensor = self.model(ball.project_(perturbed.detach()))
        return logits.float()
