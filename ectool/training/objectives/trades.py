"""TRADES: the prediction for an attacked image stays near that for the clean image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.attacks.ball import Pixels
from ectool.attacks.losses import Logits
from ectool.attacks.masks import full
from ectool.attacks.objectives import Value
from ectool.models.modes import frozen
from ectool.models.objective import Labels, sample_losses
from ectool.models.precision import full_precision
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.in_batch import InBatchAttack
from ectool.training.losses import divergence
from ectool.training.objectives.base import Objective, Setup

START_DEVIATION = 0.001
"""Standard deviation of the start of the attack, in pixel units, as in the authors' code."""


@dataclass(frozen=True)
class _Divergence:
    """The change of the prediction, ``KL(p(clean) || p(x))``, which the attack maximizes."""

    model: nn.Module
    clean: Logits
    labels: Labels

    def __call__(self, pixels: Pixels) -> Value:
        """Evaluate images; 1 forward pass."""
        change = divergence(self.clean, self.model(pixels), self.labels)
        return Value(change, change.detach())

    def allows(self, logits: Logits) -> None:
        """Allow all images."""


class Trades(Objective):
    """Minimize ``mean_i weights_i * (loss_i + beta * KL(p(x_i) || p(x_i + delta_i)))``.

    Zhang et al. 2019 (arXiv 1901.08573), with delta_i from an attack on the divergence that starts
    near the clean image; beta is ``strength``, 1/lambda in the paper. Deviations: the attack uses
    the model in evaluation mode, and takes 5 steps by default instead of 10; it computes in the
    precision of the weights.

    Cost: 3 forward and 2 backward passes + steps × (forward + input-gradient pass).
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.attack = InBatchAttack.of(setup.settings)
        self.beta = setup.settings["strength"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean weighted loss; the logits are those of the clean images."""
        # In bfloat16 the start would be rounded to the clean image, which has no gradient.
        with full_precision(batch.pixels.device):
            attacked = self._attacked(model, batch, position.generator)
        logits = model(batch.pixels)
        change = divergence(logits, model(attacked), batch.labels)
        losses = sample_losses(logits, batch.labels) + self.beta * change
        return BatchLoss((batch.weights * losses).mean(), logits)

    def _attacked(
        self, model: nn.Module, batch: TrainingBatch, draw: torch.Generator
    ) -> Float[Tensor, "n 3 h w"]:
        clean = batch.pixels
        with frozen(model), torch.no_grad():
            logits = model(clean)
        noise = batch.part.draw(
            len(clean),
            lambda count: torch.randn((count, *clean.shape[1:]), generator=draw),
            clean.device,
        )
        start = clean + START_DEVIATION * noise
        objective = _Divergence(model, logits, batch.labels)
        return self.attack.maximize(model, objective, clean, full(clean[:, 0]), start)
