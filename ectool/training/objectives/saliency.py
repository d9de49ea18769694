"""Saliency-guided training: pixels with small gradients must not matter."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ectool.attacks.ball import Pixels
from ectool.models.modes import frozen
from ectool.models.objective import Labels, sample_losses
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.losses import divergence
from ectool.training.objectives.base import Objective, Setup


class SaliencyGuided(Objective):
    """Minimize ``mean_i weights_i * (loss_i + lambda * KL(p(x_i) || p(m(x_i))))``.

    Ismail et al. 2021 (arXiv 2111.14338). m replaces a share of the pixels, those with the smallest
    gradient of the true class's logit, by random values between the minimum and the maximum of
    each colour channel of the image. lambda is ``strength``. For multi-label data the gradient is
    that of the sum of the positive labels' logits. The gradient of a pixel is the mean over its
    channels; its magnitude counts, as with the option ``--abs`` of the authors' code, which sorts
    it with its sign by default.

    Cost: 2 forward and 2 backward passes + 1 forward and input-gradient pass.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.share = setup.settings["share"]
        self.strength = setup.settings["strength"]

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean weighted loss; the logits are those of the clean images."""
        gradients = _saliency(model, batch.pixels, batch.labels)
        masked = _fill(batch, lowest(gradients, self.share), position.generator)
        logits = model(batch.pixels)
        change = divergence(logits, model(masked), batch.labels)
        losses = sample_losses(logits, batch.labels) + self.strength * change
        return BatchLoss((batch.weights * losses).mean(), logits)


def lowest(values: Float[Tensor, "n h w"], share: float) -> Bool[Tensor, "n h w"]:
    """Return the ``int(share * h * w)`` pixels with the smallest values of each image."""
    flat = values.flatten(1)
    # 0.29 * 100 is slightly below 29; the small term keeps such products from rounding down.
    count = int(share * flat.shape[1] + 1e-6)
    chosen = flat.argsort(dim=1, stable=True)[:, :count]
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, chosen, True).view(values.shape)


def _saliency(model: nn.Module, pixels: Pixels, labels: Labels) -> Float[Tensor, "n h w"]:
    """Return the magnitude of the gradient of the true class's logit at each pixel."""
    with frozen(model), torch.enable_grad():
        leaf = pixels.detach().requires_grad_()
        logits = model(leaf)
        if labels.ndim == 1:
            chosen = logits.gather(1, labels[:, None]).sum()
        else:
            chosen = (logits * (labels == 1)).sum()
        (gradient,) = torch.autograd.grad(chosen, leaf)
    return gradient.mean(1).abs()


def _fill(batch: TrainingBatch, mask: Bool[Tensor, "n h w"], draw: torch.Generator) -> Pixels:
    """Replace pixels by values uniform between the minimum and the maximum of each channel."""
    pixels = batch.pixels
    low, high = pixels.amin((2, 3), keepdim=True), pixels.amax((2, 3), keepdim=True)
    shares = batch.part.draw(
        len(pixels),
        lambda count: torch.rand((count, *pixels.shape[1:]), generator=draw),
        pixels.device,
    )
    values = low + (high - low) * shares
    return torch.where(mask[:, None], values, pixels)
