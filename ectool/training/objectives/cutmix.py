"""CutMix."""

from __future__ import annotations

import math

import torch
from torch import nn

from ectool.datasets.views import Box
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.losses import weighted_loss
from ectool.training.objectives.base import Objective, Setup
from ectool.training.objectives.mixup import draw_others, draw_share, mixed_loss


class CutMix(Objective):
    """Minimize the loss of images with a box of another image, and of labels mixed by area.

    Yun et al. 2019 (arXiv 1905.04899): the box has the share ``1 - s`` of the area, s of the
    distribution Beta(strength, strength), and its centre is uniform over the image; what lies
    outside is cut off, and s becomes the exact share of the area that is left of the first image.
    One box and one permutation per batch. As in their runs on small images, a batch is mixed with
    the probability ``share``. The accuracy of the epoch counts the label of the first image.

    Cost: 1 forward and 1 backward pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.strength = setup.settings["strength"]
        self.share = setup.settings["share"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean mixed loss of the mixed images, or the plain one of unmixed images."""
        draws = position.generator
        if float(torch.rand((), generator=draws)) >= self.share:
            logits = model(batch.pixels)
            return BatchLoss(weighted_loss(logits, batch.labels, batch.weights), logits)
        height, width = batch.pixels.shape[2:]
        left, top, right, bottom = draw_box(width, height, draw_share(self.strength, draws), draws)
        others = draw_others(batch, draws)
        pixels = batch.pixels.clone()
        boxes = batch.part.whole(batch.pixels[:, :, top:bottom, left:right])
        pixels[:, :, top:bottom, left:right] = boxes[others]
        share = 1 - (right - left) * (bottom - top) / (width * height)
        logits = model(pixels)
        return BatchLoss(mixed_loss(logits, batch, others, share), logits)


def draw_box(width: int, height: int, share: float, generator: torch.Generator) -> Box:
    """Draw a box with the share ``1 - share`` of the area around a uniform centre.

    Args:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        share: Share of the area outside of the box, before the box is cut off at the edges.
        generator: Random numbers.

    Returns:
        Left, top, right and bottom in pixels, end-exclusive, within the image.
    """
    found = []
    for side in (width, height):
        half = int(side * math.sqrt(1 - share)) // 2
        centre = int(torch.randint(side, (), generator=generator))
        found.append((max(centre - half, 0), min(centre + half, side)))
    (left, right), (top, bottom) = found
    return left, top, right, bottom
