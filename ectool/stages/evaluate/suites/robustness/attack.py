"""Predictions on a batch under one attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks import ATTACKS
from ectool.attacks.ball import Ball
from ectool.attacks.losses import LOSSES, find_loss, likeliest_errors, scale_of
from ectool.attacks.masks import full, outside_object
from ectool.attacks.monitor import AttackMonitor
from ectool.attacks.objectives import LabelLoss, is_misclassified
from ectool.attacks.pgd import Settings
from ectool.attacks.random_start import start_streams
from ectool.attacks.until_misclassified import until_misclassified
from ectool.config.evaluation_attacks import TARGETS
from ectool.datasets.base import Annotations, Dataset, Indices
from ectool.metrics.classification import is_correct
from ectool.metrics.localization import filled_boxes
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.common.batches import AttackBatch, ImageBatch, LabelledImages
from ectool.stages.common.layout import FLAT, NO_GRADIENT
from ectool.stages.common.loaded import check_finite
from ectool.stages.common.loop.tally import Tally
from ectool.stages.evaluate.suites.robustness.conditions import Condition
from ectool.stages.perturb.attacker import STEP_SHARE

DLR_CLASSES = LOSSES["dlr"].classes[1]
"""Minimum number of classes of the targeted DLR loss."""


Logits = np.ndarray[Any, np.dtype[np.float32]]

Attack = Callable[[AttackBatch], Tensor]
"""Returns the logits of attacked images."""


def targeted_loss(classes: int) -> str:
    """Return the loss of targeted attacks: DLR, and the margin of fewer classes."""
    return "dlr" if classes >= DLR_CLASSES else "margin"


@dataclass(frozen=True)
class GradientAttack:
    """An attack by gradients that stops at misclassified images.

    PGD has steps of length 2.5 * eps / steps. FGSM, PGD and `apgd-ce` maximize the cross-entropy of
    rescaled logits, so that a factor on the logits changes nothing. `apgd-t`, whose loss is
    scale-invariant, targets the most likely wrong classes of the clean image, at most 9, one after
    the other. The APGD attacks count a misclassification in any step, PGD and FGSM only in the
    last one.

    Attributes:
        model: A frozen classifier.
        condition: Attack and radius.
        restarts: Number of starts of attacks with a random start.
        seed: Seed of the starts.
    """

    model: Classifier
    condition: Condition
    restarts: int
    seed: int

    def __call__(self, batch: AttackBatch) -> Tensor:
        """Return the logits of the first misclassified result, or of the last result.

        Cost: `steps` forward and input-gradient passes per start and target, until an image is
        misclassified.
        """
        eps, steps = self.condition.eps, self.condition.steps
        kind = ATTACKS[self.condition.row.method or ""]

        def start(ball: Ball, rows: Tensor, attempt: int) -> Tensor:
            if kind.start == "clean":
                return ball.clean
            ids = [batch.sample_ids[row] for row in rows.tolist()]
            streams = start_streams(ids, self.seed, attempt)
            return ball.random_point(streams, surface=kind.start == "surface")

        return until_misclassified(
            kind.run,
            batch.ball(self.condition.norm, eps),
            self._objectives(batch),
            start,
            Settings(steps=steps, alpha=STEP_SHARE * eps / steps),
            evaluation_model=self.model,
            restarts=1 if kind.start == "clean" else self.restarts,
        )

    def _objectives(self, batch: AttackBatch) -> list[LabelLoss]:
        labels, classes = batch.labels, batch.logits.shape[1]
        if self.condition.row.loss != "targeted":
            multilabel = labels.ndim > 1
            loss = find_loss("auto", classes, multilabel=multilabel)
            scale = scale_of(batch.logits, multilabel=multilabel)
            own = LabelLoss(
                self.model, loss, labels, stop_when_misclassified=not multilabel, scale=scale
            )
            return [replace(own, monitor=batch.monitor)]
        loss = LOSSES[targeted_loss(classes)]
        targets = likeliest_errors(batch.logits, labels, min(TARGETS, classes - 1))
        return [
            LabelLoss(
                self.model,
                loss,
                labels,
                target,
                stop_when_misclassified=True,
                monitor=batch.monitor,
            )
            for target in targets.unbind(1)
        ]


def object_masks(
    annotations: Annotations, size: tuple[int, int]
) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Return the object masks: annotated masks, else filled boxes, else None."""
    if annotations.masks is not None or annotations.boxes is None:
        return annotations.masks
    return filled_boxes(annotations.boxes, size)


@dataclass(frozen=True)
class PredictedBatch(ImageBatch):
    """Some samples with the inputs of the attack.

    Attributes:
        logits: Logits of the clean images.
        objects: Object masks; None if the whole image is attacked.
    """

    logits: Logits
    objects: np.ndarray[Any, np.dtype[np.bool_]] | None


class AttackWork:
    """Attacks the images that a model classifies correctly; see `shards.Work`.

    A misclassified single-label image keeps its logits, as in the protocol of AutoAttack, so robust
    accuracy never exceeds accuracy. Multi-label images are all attacked, because mean average
    precision depends on the logits, not only on correct and incorrect labels.

    Args:
        model: A frozen classifier.
        dataset: The images.
        condition: Condition under which the logits are stored; whether only the background is
            attacked.
        clean: Logits of the clean images.
        attack: The attack.
    """

    def __init__(
        self,
        model: Classifier,
        dataset: Dataset,
        condition: Condition,
        clean: Logits,
        attack: Attack,
    ) -> None:
        self.images = LabelledImages(dataset, next(model.parameters()).device)
        self.condition = condition
        self.clean = clean
        self.attack = attack
        self.tally = Tally()

    def load(self, rows: Indices) -> PredictedBatch:
        """Read the samples."""
        batch = self.images.load(rows)
        objects = None
        if self.condition.only_background:
            dataset = self.images.dataset
            objects = object_masks(dataset.annotations(rows), dataset.size)
        return PredictedBatch(
            batch.sample_ids, batch.labels, batch.images, self.clean[rows], objects
        )

    def compute(self, batch: PredictedBatch) -> Arrays:
        """Return the logits after the attack; misclassified images keep their clean logits."""
        logits, multilabel = batch.logits.copy(), batch.labels.ndim > 1
        correct = np.ones(len(logits), np.bool_) if multilabel else is_correct(logits, batch.labels)
        rows = np.flatnonzero(correct)
        if len(rows):
            logits[rows] = self._attacked(batch, rows)
        return {**batch.columns, f"{self.condition.name}/logits": logits}

    def _attacked(self, batch: PredictedBatch, rows: Indices) -> Logits:
        pixels = to_pixels(batch.images[rows], self.images.device)
        weight = full(pixels[:, 0])
        if batch.objects is not None:
            weight = outside_object(torch.from_numpy(batch.objects[rows]).to(self.images.device))
        clean = torch.from_numpy(batch.logits[rows]).to(self.images.device)
        attacked = AttackBatch.of(batch.take(rows), pixels, weight, clean)
        logits = self.attack(attacked)
        check_finite(logits, attacked.sample_ids)
        if isinstance(self.attack, GradientAttack):
            robust = ~is_misclassified(logits, attacked.labels) & weight.flatten(1).any(1)
            self._count(attacked.monitor, robust)
        return logits.cpu().numpy()

    def _count(self, monitor: AttackMonitor, robust: Tensor) -> None:
        """Count robust images whose gradients or losses were not usable."""
        self.tally.count(NO_GRADIENT, monitor.without_gradient() & robust)
        if self.condition.row.takes_steps:  # a single step evaluates the loss only once
            self.tally.count(FLAT, monitor.with_constant_loss() & robust)

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Count images on which an attack by gradients is no evidence of robustness."""
        return {name: count for name, count in self.tally.take().items() if count}

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.tally.discard()
