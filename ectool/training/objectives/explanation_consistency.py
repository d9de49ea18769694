"""Training with explanation consistency inside the batch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn, optim

from ectool.attacks.ball import LinfBall, Pixels, Weight, enter
from ectool.models.objective import sample_losses
from ectool.models.transfer import to_device
from ectool.training.backgrounds import gradient_background, swap_backgrounds
from ectool.training.batch import BatchLoss, Position, TrainingBatch
from ectool.training.consistency import Consistency, consistency
from ectool.training.explained_gradient import ExplainedGradient
from ectool.training.in_batch import (
    BatchHeatmaps,
    PerturbationMemory,
    background_of,
    draw_images,
    true_classes,
)
from ectool.training.objectives.base import Batches, Objective, Setup
from ectool.training.ranks.part import Part
from ectool.training.sample_weights import SampleWeights, random_weights

SCORED = frozenset({"consistency", "permuted", "rate"})
"""Weightings that need explanation consistency; the others are `uniform` and `random`."""
SUMS = ("similarity", "stability", "consistency", "weight", "square", "labelled", "compared")
"""Sums over the samples of an epoch; compared are those whose heatmaps were compared."""


class LearnedImages(NamedTuple):
    """What a step learns from.

    Attributes:
        pixels: The images of the batch, some of them perturbed, in [0, 1].
        weights: Weight of each image in the loss.
        chosen: Positions of the perturbed images.
    """

    pixels: Pixels
    weights: Float[Tensor, "n"]
    chosen: Int64[Tensor, "m"]


class ExplanationConsistency(Objective):
    """Minimize ``mean_i v_i * loss(x_i or x^_i)``, with x^ and v from explanations in the batch.

    After Wu et al. 2024 (arXiv 2408.04600), in one pass per batch in place of rounds over the data:

    - A map of the true class splits the image into background and object: the input gradient at the
      last x^ (`gradient`), or Grad-CAM of the clean image (`heatmap`). Control: the gradient of
      another image of the batch (`other`).
    - x^ is one step up the loss from the sample's last perturbation, with the radius `eps` on the
      background and one on the object that rises from 0 to `object_eps`. With probability `swap` it
      also gets the background of another image of the batch. It replaces the image with probability
      `mix`.
    - From the pass of that step, ``E = cos(h(x), h(x^)) * p_y(x^)`` and ``v = (1 - E)^gamma``, with
      x^ before the step, so that E costs no pass at x^. After `scored_epochs` epochs each sample
      keeps its weight: only an early model tells which samples contradict a shortcut.

    The public part of the paper has v = 1 - E and Σ v L; all else is our choice. In the first
    epoch, and in every epoch if augmentation moves the pixels, the last perturbation is a random
    point of the ball, so E is that under noise. Perturbations and weights depend on the order of
    the batches, and so on the batch size and the seed.

    Controls of the weights are `permuted` weights of the batch, `random` ones (exponential, mean
    1), `uniform` ones, and the `rate`: uniform weights, and a loss scaled so that its gradient is
    as long as that of the weighted loss.

    Cost: `attack_steps` × (forward + input-gradient pass) + 1 forward and 1 backward pass. Grad-CAM
    of the clean images: 1 forward pass, in all epochs (`heatmap`) or those that score (`gradient`).
    `rate`: 2 more backward passes.
    """

    epochs: Tensor

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.settings = settings = setup.settings
        self.heatmaps, self.gradient = BatchHeatmaps(setup.model), ExplainedGradient(setup.model)
        samples, eps = len(setup.labels), settings["eps"]
        self.memory = PerturbationMemory(samples, setup.image_shape, eps, moves=setup.moves)
        self.register_buffer("epochs", torch.zeros((), dtype=torch.int64))
        self.weights = None
        if settings["weighting"] in SCORED:
            self.weights = SampleWeights(
                samples,
                gamma=settings["gamma"],
                cap=settings["cap"],
                momentum=settings["weight_momentum"],
            )
        self.is_first = self.is_scored = self.weights is not None
        self.sums: list[Tensor] = []

    def begin(
        self,
        model: nn.Module,  # noqa: ARG002 (one signature for all)
        optimizer: optim.Optimizer,  # noqa: ARG002
        batches: Batches,  # noqa: ARG002
        position: Position,  # noqa: ARG002
    ) -> None:
        """Decide whether samples are scored in this epoch."""
        self.begin_epoch()

    def begin_epoch(self) -> None:
        """Do what :meth:`begin` does, which needs none of its arguments."""
        self.heatmaps.begin()
        self.gradient.begin()
        self.sums = []
        done = int(self.epochs)
        self.epochs += 1
        self.is_first = done == 0
        if self.weights is not None:
            scored = self.settings["scored_epochs"]
            self.is_scored = scored == 0 or done < scored
            if done == scored > 0:
                self.weights.scale()

    def forward(self, model: nn.Module, batch: TrainingBatch, position: Position) -> BatchLoss:
        """Return the mean weighted loss of the clean and the perturbed images."""
        images = self.prepare(batch, position)
        logits = model(images.pixels)
        losses = batch.weights * sample_losses(logits, batch.labels)
        return BatchLoss(self._combine(model, losses, images.weights, batch.part), logits)

    def prepare(self, batch: TrainingBatch, position: Position) -> LearnedImages:
        """Return the images to learn from, and their weights, for any loss.

        The weighting `rate` also needs the loss, so its weights are not complete.
        """
        draw, mix = position.generator, self.settings["mix"]
        perturbed, background, seen = self._attack(batch, position)
        weights = self._weigh(batch, seen, draw)
        self.sums.append(batch.part.total(_sums(seen, weights)))
        perturbed = self._swap(batch, perturbed, background, draw)
        chosen = draw_images(len(weights), mix, draw, weights.device, batch.part)
        pixels = batch.pixels.index_copy(0, chosen, perturbed[chosen])
        return LearnedImages(pixels, weights, chosen)

    def statistics(self) -> dict[str, float]:
        """Return means of E and its factors over the epoch, and the effective sample size."""
        total = torch.stack(self.sums).double().sum(0).tolist() if self.sums else [0.0] * 7
        found = dict(zip(SUMS, total, strict=True))
        if not self.sums:
            return {}
        values = {"effective_sample_size": found["weight"] ** 2 / found["square"]}
        if found["labelled"]:
            values["prediction_stability"] = found["stability"] / found["labelled"]
        if found["compared"]:
            values["heatmap_similarity"] = found["similarity"] / found["compared"]
            values["explanation_consistency"] = found["consistency"] / found["labelled"]
            values["undefined_similarity"] = found["labelled"] - found["compared"]
        return values

    def radius_share(self, background: Bool[Tensor, "n h w"], progress: float) -> Weight:
        """Return the radius as a share of eps: 1 on the background, and rising on the object."""
        ramp, share = (
            self.settings["object_ramp"],
            self.settings["object_eps"] / self.settings["eps"],
        )
        risen = share * (min(1.0, progress / ramp) if ramp > 0 else 1.0)
        return torch.where(background, 1.0, risen)

    def _attack(
        self, batch: TrainingBatch, position: Position
    ) -> tuple[Pixels, Bool[Tensor, "n h w"], Consistency]:
        """Return perturbed images, background, and what heatmaps and predictions did on the way."""
        pixels, labels, classes = batch.pixels, batch.labels, true_classes(batch.labels)
        settings, size = self.settings, (batch.pixels.shape[2], batch.pixels.shape[3])
        level, steps = settings["mask_level"], int(settings["attack_steps"])
        by_gradient = settings["mask_source"] != "heatmap"
        perturbed = self.memory.start(pixels, batch.rows, position.generator, batch.part)
        clean = None
        if self.is_scored or not by_gradient:
            clean = self.heatmaps(pixels, labels).heatmaps
        if clean is not None and not by_gradient:
            background = background_of(clean, labels, size, level)
            perturbed = enter(self._ball(pixels, background, position), perturbed)
        for _ in range(steps):
            seen = self.gradient(perturbed, labels, None if clean is None else classes)
            if by_gradient:
                sigma = settings["mask_sigma"]
                background = gradient_background(pixels, seen.gradient, level, sigma)
                if settings["mask_source"] == "other":
                    background = batch.part.own(batch.part.whole(background).roll(1, 0))
            ball = self._ball(pixels, background, position)
            length = ball.weight[:, None] * (ball.eps if steps == 1 else ball.eps / 2)
            moved = torch.addcmul(perturbed, length, ball.steepest(seen.gradient))
            perturbed = ball.project_(moved)
        self.memory.keep(pixels, perturbed, batch.rows, batch.part)
        return perturbed, background, consistency(clean, seen.heatmaps, seen.logits, classes)

    def _ball(self, pixels: Pixels, background: Bool[Tensor, "n h w"], at: Position) -> LinfBall:
        share = self.radius_share(background, at.progress)
        return LinfBall.around(pixels, share, self.settings["eps"])

    def _swap(
        self,
        batch: TrainingBatch,
        perturbed: Pixels,
        background: Bool[Tensor, "n h w"],
        draw: torch.Generator,
    ) -> Pixels:
        """Swap the backgrounds of a share of the perturbed images."""
        pixels, part, share = batch.pixels, batch.part, self.settings["swap"]
        if share == 0:
            return perturbed
        count = part.count(len(pixels))
        order = to_device(torch.randperm(count, generator=draw), pixels.device)
        chosen = draw_images(len(pixels), share, draw, pixels.device, part)
        swapped = swap_backgrounds(pixels, background, order, part) + (perturbed - pixels)
        return perturbed.index_copy(0, chosen, swapped.clamp_(0, 1)[chosen])

    def _weigh(
        self, batch: TrainingBatch, seen: Consistency, generator: torch.Generator
    ) -> Float[Tensor, "n"]:
        """Return the weights of the samples."""
        uniform, part = torch.ones_like(batch.weights), batch.part
        if self.settings["weighting"] == "random":
            return part.draw(
                len(uniform), lambda count: random_weights(count, generator), uniform.device
            )
        if self.weights is None:
            return uniform
        weights = self.weights.read(batch.rows)
        if self.is_scored:
            product = seen.explanation_consistency
            weights = self.weights.update(batch.rows, product, first=self.is_first, part=part)
        if self.settings["weighting"] == "permuted":
            order = part.draw(
                len(weights),
                lambda count: torch.randperm(count, generator=generator),
                weights.device,
            )
            return part.whole(weights)[order]
        return weights

    def _combine(
        self,
        model: nn.Module,
        losses: Float[Tensor, "n"],
        weights: Float[Tensor, "n"],
        part: Part,
    ) -> Float[Tensor, ""]:
        """Return the mean weighted loss; `rate`: the mean loss with the same length of gradient."""
        weighted, plain = (weights * losses).mean(), losses.mean()
        if self.settings["weighting"] != "rate":
            return weighted
        parameters = [p for p in model.parameters() if p.requires_grad]
        lengths = [_gradient_length(loss, parameters, part) for loss in (weighted, plain)]
        scaled: Tensor = plain * (lengths[0] / lengths[1].clamp(min=1e-12))
        return scaled


def _gradient_length(loss: Tensor, parameters: list[nn.Parameter], part: Part) -> Float[Tensor, ""]:
    """Return the length of the gradient of the mean loss over the whole batch."""
    gradients = torch.autograd.grad(
        part.weigh(loss), parameters, retain_graph=True, allow_unused=True
    )
    found = part.totals([gradient for gradient in gradients if gradient is not None])
    norms = [gradient.norm() for gradient in found]
    length: Tensor = torch.stack(norms).norm()
    return length


def _sums(seen: Consistency, weights: Float[Tensor, "n"]) -> Float[Tensor, "7"]:
    """Return the ``SUMS`` over a batch, without synchronization."""
    counts = [(~values.isnan()).sum() for values in (seen.stability, seen.similarity)]
    means = [values.nansum() for values in seen]
    return torch.stack([*means, weights.sum(), weights.square().sum(), *counts])
