"""AutoAttack by torchattacks: the check that our attacks are not weaker."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ectool.attacks.ball import BALLS
from ectool.models.classifier import Classifier
from ectool.stages.evaluate.suites.robustness.attack import TARGETS, Victims
from ectool.stages.evaluate.suites.robustness.conditions import Condition

NORMS = {"linf": "Linf", "l2": "L2"}


class Contiguous(nn.Module):
    """A network whose gradients have the memory format that torchattacks expects.

    Args:
        network: The network, which may answer with gradients channels last.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits; the gradient is laid out anew on its way through the flat pixels."""
        logits: Tensor = self.network(pixels.flatten(1).view(pixels.shape))
        return logits


@dataclass(frozen=True)
class AutoAttack:
    """The standard ensemble: APGD-CE, and APGD, FAB with targets, Square (Croce & Hein 2020).

    Its random numbers are torchattacks' own, drawn for a batch as a whole, so here the answers do
    depend on the size of the batch. What leaves the ball is projected into it.

    Attributes:
        model: A frozen classifier of at least 4 classes.
        condition: Radius.
        seed: Seed of every part.
    """

    model: Classifier
    condition: Condition
    seed: int

    def __call__(self, victims: Victims) -> Tensor:
        """Return the logits of attacked images; over 5,000 passes for one that holds out."""
        eps, norm = self.condition.eps, self.condition.norm
        attack = importlib.import_module("torchattacks").AutoAttack(
            Contiguous(self.model),
            norm=NORMS[norm],
            eps=eps,
            version="standard",
            n_classes=min(victims.logits.shape[1], TARGETS + 1),
            seed=self.seed,
        )
        devices = [victims.pixels.device] if victims.pixels.is_cuda else []
        with torch.random.fork_rng(devices):
            moved = attack(victims.pixels.contiguous(), victims.labels)
        ball = BALLS[norm].around(victims.pixels, victims.weight, eps)
        with torch.no_grad():
            logits: Tensor = self.model(ball.project_(moved.detach()))
        return logits.float()
