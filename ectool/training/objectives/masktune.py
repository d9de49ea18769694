"""MaskTune: a last epoch without the pixels that matter most."""

from __future__ import annotations

import copy
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ectool.explainers import upsample
from ectool.explainers.cam.gradient_cam import gradient_cam
from ectool.models.classifier import Classifier
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.losses import weighted_loss
from ectool.training.objectives.base import Batches, Objective, Setup

METHOD = "xgradcam"
DEVIATIONS = 2.0
"""Distance of the threshold from the mean, in standard deviations."""


class MaskTune(Objective):
    """Minimize the weighted loss of images whose most salient pixels are black, in the last epoch.

    Asgari et al. 2022 (arXiv 2210.00055). The heatmap is the XGrad-CAM of the class that the model
    after plain training predicts. Pixels above mean + 2 standard deviations of its positive values
    are masked. The learning rate is constant, ``strength`` times the peak. Deviations: heatmaps are
    computed on the augmented images, not once before; they are not scaled to [0, 1] first.

    Cost: 2 forward and 1 backward passes, in one epoch.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.explain = gradient_cam(METHOD, setup.model)

    def begin(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002 (one signature for all)
        batches: Batches,  # noqa: ARG002
        position: Position,  # noqa: ARG002
    ) -> None:
        """Keep the model after plain training, which explains all images of the epoch."""
        self.explain = gradient_cam(METHOD, copy.deepcopy(cast(Classifier, model)))

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:  # noqa: ARG002 (one signature for all)
        """Return the mean weighted loss of the masked images."""
        size = batch.pixels.shape[2], batch.pixels.shape[3]
        mask = salient(upsample(self.explain(batch.pixels).heatmaps, size))
        logits = model(batch.pixels * ~mask[:, None])
        return BatchLoss(weighted_loss(logits, batch.labels, batch.weights), logits)


def salient(heatmaps: Float[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Return the pixels above the mean + 2 standard deviations of the positive values.

    Args:
        heatmaps: Non-negative heatmaps, upsampled to the size of the images.

    Returns:
        True where a pixel is masked; nowhere for an all-zero map.
    """
    values = heatmaps.double()
    positive = values > 0
    count = positive.sum((1, 2), keepdim=True).clamp(min=1)
    mean = values.sum((1, 2), keepdim=True) / count
    variance = ((values - mean).square() * positive).sum((1, 2), keepdim=True) / count
    return values > mean + DEVIATIONS * variance.sqrt()
