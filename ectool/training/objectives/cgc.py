"""Contrastive Grad-CAM consistency: the heatmap moves with the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from ectool.explainers.cut import only_output
from ectool.models.classifier import Classifier
from ectool.models.modes import forward_hooks
from ectool.models.objective import sample_losses
from ectool.models.precision import full_precision
from ectool.training.augmentation import random_box
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.objectives.base import Objective, Setup
from ectool.training.ranks.part import WHOLE, Part

_TINY = 1e-8


class CGC(Objective):
    """Minimize ``mean_i weights_i * (loss(x_i) + loss(t_i(x_i))) / 2 + lambda * NCE``.

    Pillai et al. 2022 (arXiv 2110.00527). t_i crops the image at random, resizes the crop and
    mirrors it with probability 1/2. ``NCE = mean_i CE([s(g_i, t_i(h_i)), s(g_i, g_j) for j != i])``
    where the first entry is the correct one, h_i is the heatmap of x_i and g_i that of t_i(x_i),
    both of the class predicted for x_i, and s their cosine, divided by the temperature. As in the
    authors' code, ``h = relu(sum_c G_c A_c)`` with A the activations of the target layer and G
    the gradient of the logit, upsampled to the image and divided by its sum. lambda is
    ``strength``, and ``share`` the minimum share of the area in a crop. Deviation: the authors add
    a third cross-entropy, on another crop, and take the sum instead of the mean.

    Cost: 2 forward and 2 backward passes; the gradients of the head are differentiated again.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.strength = setup.settings["strength"]
        self.share = setup.settings["share"]
        self.temperature = setup.settings["temperature"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the loss; the logits are those of the whole images."""
        network = cast(Classifier, model)
        moves = draw_moves(batch.pixels, self.share, position.generator, batch.part)
        logits, heatmaps = _explain(network, batch.pixels, None)
        classes = logits.detach().argmax(1)
        others, moved = _explain(network, move(batch.pixels, moves), classes)
        losses = [sample_losses(one, batch.labels) for one in (logits, others)]
        loss = (batch.weights * (losses[0] + losses[1])).mean() / 2
        expected = move(heatmaps[:, None], moves)[:, 0]
        apart = contrast(moved, expected, self.temperature, batch.part)
        return BatchLoss(loss + self.strength * apart, logits)


@dataclass(frozen=True)
class Move:
    """A crop, resized to the image, and whether it is mirrored."""

    box: tuple[int, int, int, int]
    mirrored: bool


def draw_moves(
    pixels: Float[Tensor, "n c h w"],
    min_share: float,
    draw: torch.Generator,
    part: Part = WHOLE,
) -> list[Move]:
    """Draw a random resized crop and a flip for each image, a part of the batch of all ranks."""
    draws = np.random.default_rng(int(torch.randint(2**62, (), generator=draw)))
    height, width = pixels.shape[2:]
    moves = [
        Move(random_box(draws, width, height, min_share), bool(draws.random() < 1 / 2))
        for _ in range(part.count(len(pixels)))
    ]
    return part.own(moves)


def move(images: Float[Tensor, "n c h w"], moves: list[Move]) -> Float[Tensor, "n c h w"]:
    """Crop, resize and mirror images or heatmaps, differentiably."""
    size, moved = images.shape[2:], []
    for row, each in enumerate(moves):
        left, top, right, bottom = each.box
        crop = images[row : row + 1, :, top:bottom, left:right]
        crop = F.interpolate(crop, size=size, mode="bilinear", align_corners=False)
        moved.append(crop.flip(3) if each.mirrored else crop)
    return torch.cat(moved)


def contrast(
    moved: Float[Tensor, "n h w"],
    expected: Float[Tensor, "n h w"],
    temperature: float,
    part: Part = WHOLE,
) -> Float[Tensor, ""]:
    """Return the contrastive loss of heatmaps, ``NCE`` of `CGC`.

    Args:
        moved: Heatmaps of the moved images; those of other samples are the negatives.
        expected: Moved heatmaps of the images.
        temperature: Divisor of the cosines.
        part: Which part of the batch of all ranks these are; the loss is that of the whole batch.
    """
    moved, expected = part.whole(moved), part.whole(expected)
    ours, goal = (F.normalize(maps.flatten(1), eps=_TINY) for maps in (moved, expected))
    with full_precision(ours.device):
        similar = ours @ ours.T
    # The similarity with itself makes room for that with the expected heatmap.
    similar = similar.where(~torch.eye(len(ours), dtype=torch.bool, device=ours.device), 0)
    scores = (similar + (ours * goal).sum(1).diag()) / temperature
    return F.cross_entropy(scores, torch.arange(len(ours), device=ours.device))


def _explain(
    model: Classifier, pixels: Float[Tensor, "n c h w"], classes: Int64[Tensor, "n"] | None
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n h w"]]:
    """Return logits and heatmaps of some classes, or of the predicted ones, with a graph."""
    recorded: list[Tensor] = []

    def record(_module: nn.Module, _arguments: tuple[object, ...], output: object) -> object:
        if not isinstance(output, Tensor):
            return output
        recorded.append(output)
        return output.clone()  # the head may overwrite its input

    size = pixels.shape[2], pixels.shape[3]
    # Fused attention has no second derivative.
    with forward_hooks([model.target_module], record), sdpa_kernel(SDPBackend.MATH):
        logits = model(pixels)
        output = only_output(recorded, model)
        chosen = logits.detach().argmax(1) if classes is None else classes
        total = logits.gather(1, chosen[:, None]).sum()
        (gradient,) = torch.autograd.grad(total, output, create_graph=True)
    heatmaps = model.target_layer.to_nchw(gradient * output, size).sum(1).relu()
    large = F.interpolate(heatmaps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
    return logits, large / (large.sum((1, 2), keepdim=True) + _TINY) + _TINY
