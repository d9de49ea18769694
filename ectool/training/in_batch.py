"""Attacks and heatmaps of the current model inside a training step, for objectives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from ectool.attacks.ball import WHITE, LinfBall, Pixels, Weight
from ectool.attacks.masks import intersect, quantile
from ectool.attacks.objectives import LabelLoss, Objective
from ectool.attacks.pgd import Settings, pgd
from ectool.datasets.labels import most_positives, positives
from ectool.explainers import Explanation, GradCAM, upsample
from ectool.models.classifier import Classifier
from ectool.models.modes import frozen
from ectool.models.objective import Labels
from ectool.models.transfer import to_device
from ectool.training.losses import attack_loss
from ectool.training.ranks.part import WHOLE, Part

BACKGROUND_SHARE = 0.5
"""Quantile of the background mask, the default of `perturb`."""
_MAX_LEVEL = 127


@dataclass(frozen=True)
class InBatchAttack:
    """Projected gradient ascent in an L-infinity ball (Madry et al. 2018, arXiv 1706.06083).

    Attributes:
        eps: Radius of the L-infinity ball in pixel units.
        steps: Number of steps.
        alpha: Length of a step in pixel units.
    """

    eps: float
    steps: int
    alpha: float

    @classmethod
    def of(cls, settings: Mapping[str, float]) -> InBatchAttack:
        """Return the attack of the options `eps`, `attack_steps` and `alpha`."""
        return cls(settings["eps"], int(settings["attack_steps"]), settings["alpha"])

    def __call__(
        self, model: nn.Module, clean: Pixels, labels: Labels, weight: Weight, start: Pixels
    ) -> Pixels:
        """Maximize the loss of the true label; see `maximize`.

        Args:
            model: Maps pixels to logits.
            clean: Clean pixels in [0, 1].
            labels: True labels.
            weight: Share of the radius at each pixel; 0 where nothing may change.
            start: Where to start.
        """
        objective = LabelLoss(model, attack_loss(labels), labels)
        return self.maximize(model, objective, clean, weight, start)

    def maximize(
        self, model: nn.Module, objective: Objective, clean: Pixels, weight: Weight, start: Pixels
    ) -> Pixels:
        """Attack some images of a batch, with the model in evaluation mode.

        Args:
            model: The model of the objective; its modes, gradients and parameters are restored.
            objective: The function to maximize.
            clean: Clean pixels in [0, 1].
            weight: Share of the radius at each pixel; 0 where nothing may change.
            start: Where to start; projected into the ball.

        Returns:
            Pixels in the ball, not rounded, without a graph.

        Cost: steps × (forward + input-gradient pass).
        """
        ball = LinfBall.around(clean, weight, self.eps)
        with frozen(model):
            return pgd(ball, objective, start, Settings(steps=self.steps, alpha=self.alpha))


class PerturbationMemory(nn.Module):
    """The last perturbation of every sample, from which the next attack starts.

    The state takes one byte per colour value: perturbations are stored in whole grey levels. The
    first is uniform in the ball. Where augmentation moves the pixels of a sample, its last
    perturbation does not fit, so there is no state, and every attack starts at a random point.

    Args:
        samples: Number of samples.
        shape: Channels, height and width of the images.
        eps: Radius of the first, random perturbations, in pixel units.
        moves: Whether augmentation moves the pixels of a sample between epochs.
    """

    levels: Tensor | None

    def __init__(
        self, samples: int, shape: tuple[int, int, int], eps: float, *, moves: bool
    ) -> None:
        super().__init__()
        self.eps = eps
        first = None if moves else _rounded(_uniform((samples, *shape), eps, None))
        self.register_buffer("levels", first)

    def start(
        self,
        clean: Pixels,
        rows: Int64[Tensor, "n"],
        generator: torch.Generator,
        part: Part = WHOLE,
    ) -> Pixels:
        """Return the start of an attack: the clean images with their last perturbations.

        Args:
            clean: Clean pixels.
            rows: Rows of the samples in the data set.
            generator: Random numbers of the step, drawn only where there is no memory.
            part: Which part of the batch of all ranks these are.

        Returns:
            Points that may lie outside the ball; attacks project their start.
        """
        if self.levels is None:
            noise = part.draw(
                len(clean),
                lambda count: _uniform((count, *clean.shape[1:]), self.eps, generator),
                clean.device,
            )
            return clean + noise.to(clean.dtype)
        # Channels last as the images, because sums of both memory formats are slow.
        last = self.levels[rows].to(clean.dtype, memory_format=torch.channels_last)
        return last.div_(WHITE).add_(clean)

    def keep(
        self, clean: Pixels, perturbed: Pixels, rows: Int64[Tensor, "n"], part: Part = WHOLE
    ) -> None:
        """Store the perturbations of some samples, on every rank those of all.

        Args:
            clean: Clean pixels.
            perturbed: Perturbed pixels.
            rows: Rows of the samples in the data set.
            part: Which part of the batch of all ranks these are.
        """
        if self.levels is not None:
            self.levels[part.whole(rows)] = part.whole(_rounded(perturbed - clean))


class BatchHeatmaps:
    """Grad-CAM of the true classes, in evaluation mode, by its closed form where there is one.

    Args:
        model: The classifier in training.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self.begin()

    def begin(self) -> None:
        """Look for the closed form again, to be called in every epoch.

        So a resumed training finds the same one, although the search depends on the weights.
        """
        self._gradcam = GradCAM(self.model)

    def __call__(self, pixels: Pixels, labels: Labels) -> Explanation:
        """Explain a batch.

        Returns:
            Raw heatmaps at the layer's resolution, one per image, and for multi-label data one per
            column of `true_classes`; and the logits.

        Cost: 1 forward pass without a graph; unless the head is a pooled linear one, also one
        backward pass of the head per column.
        """
        return self._gradcam(pixels, true_classes(labels))


def true_classes(labels: Labels) -> Int64[Tensor, "n *k"]:
    """Return the classes to explain: the label, or all positive labels, then -1."""
    if labels.ndim == 1:
        return labels
    present = labels.cpu().numpy()
    return torch.from_numpy(positives(present, most_positives(present))).to(labels.device)


def background_of(
    heatmaps: Float[Tensor, "n *k i j"],
    labels: Labels,
    size: tuple[int, int],
    q: float = BACKGROUND_SHARE,
) -> Bool[Tensor, "n h w"]:
    """Return the background mask of `perturb`: the quantile rule on upsampled heatmaps.

    Args:
        heatmaps: Heatmaps of `true_classes`.
        labels: True labels; with several positive ones, the background is what is background for
            each of them, and the whole image without one.
        size: (height, width) of the images.
        q: Share of the pixels.
    """
    if labels.ndim == 1:
        return quantile(upsample(heatmaps, size), q)
    pairs = true_classes(labels) >= 0
    masks = quantile(upsample(heatmaps[pairs], size), q)
    return intersect(masks, pairs.nonzero()[:, 0], len(pairs))


def draw_images(
    count: int,
    share: float,
    generator: torch.Generator,
    device: torch.device,
    part: Part = WHOLE,
) -> Int64[Tensor, "m"]:
    """Draw the images of a batch to replace, each with probability `share`.

    Args:
        count: Number of images in the batch.
        share: Probability, in [0, 1].
        generator: Random numbers of the step.
        device: Device of the result.
        part: Which part of the batch of all ranks these are.
    """
    mask = draw_mask(part.count(count), share, generator)
    return to_device(part.own(mask).nonzero()[:, 0], device)


def draw_mask(count: int, share: float, generator: torch.Generator) -> Bool[Tensor, "n"]:
    """Return True for each image with probability `share`, on the CPU.

    Args:
        count: Number of images.
        share: Probability, in [0, 1].
        generator: Random numbers of the step.
    """
    return torch.rand(count, generator=generator) < share


def _uniform(
    shape: tuple[int, ...] | torch.Size, eps: float, generator: torch.Generator | None
) -> Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) * eps


def _rounded(change: Pixels) -> Tensor:
    """Return a perturbation in grey levels as int8; larger ones, for radii over 1/2, are cut."""
    return change.mul(WHITE).round_().clamp_(-_MAX_LEVEL, _MAX_LEVEL).to(torch.int8)
