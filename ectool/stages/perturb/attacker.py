"""The attack that the options of `perturb` describe."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ectool.attacks import ATTACKS
from ectool.attacks.ball import Ball
from ectool.attacks.losses import TARGET_CLASSES, find_loss, scale_of
from ectool.attacks.objectives import HeatmapChange, LabelLoss, Model, Objective
from ectool.attacks.perturbation import Perturbed, perturb
from ectool.attacks.pgd import Settings
from ectool.attacks.random_start import start_streams
from ectool.config import PerturbConfig
from ectool.datasets.labels import positives
from ectool.errors import UsageError
from ectool.explainers.cam.differentiable import DifferentiableGradCAM
from ectool.models.classifier import Classifier
from ectool.stages.common.batches import AttackBatch

COLD_STEPS = 5
WARM_STEPS = 2
STEP_SHARE = 2.5
"""Default of alpha * steps in radii, after Madry et al. 2018."""
MIM_STEP_SHARE = 1.0
"""The same for the momentum method, after Dong et al. 2018."""


class Attacker:
    """The attack that the options describe.

    Args:
        config: The options.
        model: The frozen classifier that computes the gradients.
        evaluation_model: The classifier that computes the logits of results: the same, or its
            float32 version.
        width: Maximum number of labels of a sample for multi-label data, else None.

    Raises:
        UsageError: The options do not fit the data.
    """

    def __init__(
        self,
        config: PerturbConfig,
        model: Classifier,
        evaluation_model: Classifier,
        width: int | None,
    ) -> None:
        self.config = config
        self.model = model
        self.evaluation_model = evaluation_model
        self.width = width
        self.kind = ATTACKS[config.attack]
        if config.target_class is not None and width is not None:
            raise UsageError(
                "--target-class",
                expected="one label per sample",
                got="multi-label data",
                fix="leave it out",
            )
        classes, targeted = len(evaluation_model.class_names), config.target_class is not None
        self.multilabel = width is not None
        self.loss = find_loss(config.loss, classes, multilabel=self.multilabel, targeted=targeted)
        self.settings = self._settings()

    def __call__(self, batch: AttackBatch, evaluation_model: Model | None = None) -> Perturbed:
        """Attack a batch.

        Args:
            batch: The images to attack.
            evaluation_model: Replaces the evaluation model; must return the same logits.

        Cost: `restarts` times that of the attack, and 1 forward pass per result.
        """
        radius = self.config.radius if self.kind.bounded else 1.0
        ball = batch.ball(self.config.norm, radius)
        return perturb(
            self.kind.run,
            ball,
            self._objective(batch),
            self._starts(ball, batch),
            self.settings,
            evaluation_model=evaluation_model or self.evaluation_model,
        )

    @property
    def takes_steps(self) -> bool:
        """Return whether the attack computes gradients."""
        return self.config.attack == "fgsm" or self.settings.steps > 0

    def _settings(self) -> Settings:
        config = self.config
        steps = config.steps
        if steps is None:
            steps = COLD_STEPS if config.init is None else WARM_STEPS
        share = MIM_STEP_SHARE if config.attack == "mim" else STEP_SHARE
        return Settings(
            steps=steps,
            alpha=config.alpha or share * config.radius / max(steps, 1),
            decay=config.decay,
            sigma=config.sigma,
            color=config.fill_color,
        )

    def _objective(self, batch: AttackBatch) -> Objective:
        if self.kind.maximizes == "heatmap":
            return self._heatmap_change(batch)
        targets = None
        if self.config.target_class is not None:
            choose = TARGET_CLASSES[self.config.target_class]
            targets = choose(batch.logits, batch.labels, batch.sample_ids, self.config.seed)
        scale = scale_of(batch.logits, multilabel=self.multilabel) if self.loss.rescaled else None
        monitor = batch.monitor
        return LabelLoss(self.model, self.loss, batch.labels, targets, scale=scale, monitor=monitor)

    def _heatmap_change(self, batch: AttackBatch) -> HeatmapChange:
        """Return the change of the Grad-CAM of the true labels, independent of the mask rule."""
        targets, predictions = batch.labels, batch.logits.argmax(1)
        if self.width is not None:
            rows = positives(batch.labels.cpu().numpy(), self.width)
            targets = torch.from_numpy(rows).to(batch.labels.device)
            predictions = (batch.logits > 0).to(torch.int8)
        explainer = DifferentiableGradCAM(self.model)

        def explain(pixels: Tensor) -> tuple[Tensor, Tensor]:
            explanation = explainer(pixels, targets)
            return explanation.heatmaps, explanation.logits

        heatmaps = explain(batch.pixels)[0].detach()
        scale = scale_of(batch.logits, multilabel=self.multilabel)
        return HeatmapChange(explain, heatmaps, predictions, scale, batch.monitor)

    def _starts(self, ball: Ball, batch: AttackBatch) -> Iterator[Tensor]:
        """Yield the start of each restart: the first as the options say, the others random."""
        surface, at_random = self.kind.start == "surface", self.config.random_start
        if at_random is None:
            at_random = self.kind.start != "clean"
        for restart in range(self.config.restarts):
            if restart == 0 and batch.start is not None:
                yield batch.start.float().div_(255)
            elif restart == 0 and not at_random:
                yield batch.pixels
            else:
                streams = start_streams(batch.sample_ids, self.config.seed, restart)
                yield ball.random_point(streams, surface=surface)
