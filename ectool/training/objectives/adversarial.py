"""Adversarial training: part of the images of each batch are attacked on the spot."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ectool.attacks.ball import Pixels, Weight, take
from ectool.attacks.masks import full
from ectool.models.objective import Labels
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.in_batch import InBatchAttack, PerturbationMemory, draw_mask
from ectool.training.losses import weighted_loss
from ectool.training.objectives.base import Objective, Setup


class Adversarial(Objective):
    """Minimize ``mean_i weights_i * loss(x_i + delta_i)`` with delta_i from an attack on the loss.

    Madry et al. 2018 (arXiv 1706.06083): ``|delta_i| <= eps`` at every pixel, by projected gradient
    ascent on the loss of the true label. Deviations: each image is attacked with probability `mix`
    and clean otherwise; the attack uses the model in evaluation mode; it starts from the sample's
    last perturbation, so that few steps suffice.

    Cost: 1 forward and 1 backward pass + mix × steps × (forward + input-gradient pass).
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.attack = InBatchAttack.of(setup.settings)
        self.mix = setup.settings["mix"]
        self.memory = PerturbationMemory(
            len(setup.labels), setup.image_shape, self.attack.eps, moves=setup.moves
        )

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean weighted loss of the clean and the attacked images."""
        logits = model(self._replaced(model, batch, position.generator))
        return BatchLoss(weighted_loss(logits, batch.labels, batch.weights), logits)

    def weight(self, pixels: Pixels, labels: Labels) -> Weight:  # noqa: ARG002 (one signature for all)
        """Return the share of the radius at each pixel: everywhere 1."""
        return full(pixels[:, 0])

    def _replaced(self, model: nn.Module, batch: TrainingBatch, draw: torch.Generator) -> Tensor:
        """Return the images of the batch, some of them attacked."""
        mask = draw_mask(batch.part.count(len(batch.pixels)), self.mix, draw)
        if not mask.any():
            return batch.pixels
        part, chosen = batch.part.among(mask), batch.part.own(mask).nonzero()[:, 0]
        chosen = chosen.to(batch.pixels.device)
        clean, labels, rows = take(batch.pixels, chosen), batch.labels[chosen], batch.rows[chosen]
        attacked = self.memory.start(clean, rows, draw, part)
        if len(chosen) > 0:
            attacked = self.attack(model, clean, labels, self.weight(clean, labels), attacked)
        self.memory.keep(clean, attacked, rows, part)
        return batch.pixels.index_copy(0, chosen, attacked)
