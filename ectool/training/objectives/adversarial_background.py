"""Adversarial training on the background: the object that the heatmap finds stays unchanged."""

from __future__ import annotations

from torch import nn, optim

from ectool.attacks.ball import Pixels, Weight
from ectool.models.objective import Labels
from ectool.training.batch import Position
from ectool.training.in_batch import BatchHeatmaps, background_of
from ectool.training.objectives.adversarial import Adversarial
from ectool.training.objectives.base import Batches, Setup


class AdversarialBackground(Adversarial):
    """Minimize the loss of `Adversarial`, with perturbations confined to the background.

    The background is that of `perturb` by default: the half of the pixels with the smallest values
    in the heatmap (Grad-CAM) of the true class, by the current model. It is a control of the
    method: its samples, without its weights.

    Cost: that of `Adversarial` + mix × 1 forward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.heatmaps = BatchHeatmaps(setup.model)

    def begin(
        self,
        model: nn.Module,  # noqa: ARG002 (one signature for all)
        optimizer: optim.Optimizer,  # noqa: ARG002
        batches: Batches,  # noqa: ARG002
        position: Position,  # noqa: ARG002
    ) -> None:
        """Look for the closed form of the heatmaps again."""
        self.heatmaps.begin()

    def weight(self, pixels: Pixels, labels: Labels) -> Weight:
        """Return 1 on the background and 0 on the object."""
        size = pixels.shape[2], pixels.shape[3]
        return background_of(self.heatmaps(pixels, labels).heatmaps, labels, size)
