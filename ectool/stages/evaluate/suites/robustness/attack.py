"""What a model answers to a batch under one attack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks import ATTACKS
from ectool.attacks.ball import BALLS, Ball
from ectool.attacks.losses import LOSSES, find_loss, likeliest_errors, scale_of
from ectool.attacks.masks import full, outside_object
from ectool.attacks.monitor import AttackMonitor
from ectool.attacks.objectives import LabelLoss, is_misclassified
from ectool.attacks.pgd import Settings
from ectool.attacks.random_start import start_streams
from ectool.attacks.until_misclassified import until_misclassified
from ectool.datasets.base import Annotations, Dataset, Indices
from ectool.metrics.classification import is_correct
from ectool.metrics.localization import filled_boxes
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.common.batches import Batch, LabelledImages
from ectool.stages.common.layout import FLAT, NO_GRADIENT
from ectool.stages.common.loaded import check_finite
from ectool.stages.evaluate.suites.robustness.conditions import Condition
from ectool.stages.perturb.attacker import STEP_SHARE

METHODS = {"fgsm": "fgsm", "pgd": "pgd", "apgd-ce": "apgd", "apgd-t": "apgd"}
"""Method in `ATTACKS` of each attack."""
TARGETS = 9
"""Most wrong classes that apgd-t leads to, as in AutoAttack (Croce & Hein 2020)."""


@dataclass(frozen=True)
class Victims:
    """Images to attack.

    Attributes:
        sample_ids: Identifiers, which random numbers belong to.
        pixels: Clean images in [0, 1].
        labels: True labels.
        weight: Which pixels may move.
        logits: What the model answers to the clean images.
        monitor: Looks on at attacks that follow gradients.
    """

    sample_ids: list[str]
    pixels: Tensor
    labels: Tensor
    weight: Tensor
    logits: Tensor
    monitor: AttackMonitor | None = None


Attack = Callable[[Victims], Tensor]
"""Returns the logits of attacked images."""


def targeted_loss(classes: int) -> str:
    """Return the loss by which apgd-t leads to a target: DLR, and margin of fewer classes."""
    return "dlr" if classes >= LOSSES["dlr"].classes[1] else "margin"


@dataclass(frozen=True)
class GradientAttack:
    """An attack of ours, from random starts, until the answer is wrong.

    Steps of PGD have the length 2.5 * eps / steps. All climb the cross-entropy of rescaled logits,
    so that a factor on the logits changes nothing; but `apgd-t`, whose loss has no scale either,
    leads to each of the wrong classes that are likeliest for the clean image, at most 9, one
    after the other; both count every image on their way, PGD and FGSM only the last.

    Attributes:
        model: A frozen classifier.
        condition: Attack and radius.
        restarts: Starts of those that begin at random.
        seed: Seed of the starts.
    """

    model: Classifier
    condition: Condition
    restarts: int
    seed: int

    def __call__(self, victims: Victims) -> Tensor:
        """Return the logits of the first result that is answered wrongly, or else of the last.

        Cost: `steps` forward and input-gradient passes a start and target, until it is fooled.
        """
        eps, steps = self.condition.eps, self.condition.steps
        kind = ATTACKS[METHODS[self.condition.attack]]

        def start(ball: Ball, rows: Tensor, attempt: int) -> Tensor:
            if kind.start == "clean":
                return ball.clean
            ids = [victims.sample_ids[row] for row in rows.tolist()]
            streams = start_streams(ids, self.seed, attempt)
            return ball.random_point(streams, surface=kind.start == "surface")

        return until_misclassified(
            kind.run,
            BALLS[self.condition.norm].around(victims.pixels, victims.weight, eps),
            self._objectives(victims),
            start,
            Settings(steps=steps, alpha=STEP_SHARE * eps / steps),
            evaluation_model=self.model,
            restarts=1 if kind.start == "clean" else self.restarts,
        )

    def _objectives(self, victims: Victims) -> list[LabelLoss]:
        labels, classes = victims.labels, victims.logits.shape[1]
        if self.condition.attack != "apgd-t":
            multilabel = labels.ndim > 1
            loss = find_loss("auto", classes, multilabel=multilabel)
            scale = scale_of(victims.logits, multilabel=multilabel)
            own = LabelLoss(
                self.model, loss, labels, stop_when_misclassified=not multilabel, scale=scale
            )
            return [replace(own, monitor=victims.monitor)]
        loss = LOSSES[targeted_loss(classes)]
        targets = likeliest_errors(victims.logits, labels, min(TARGETS, classes - 1))
        return [
            LabelLoss(
                self.model,
                loss,
                labels,
                target,
                stop_when_misclassified=True,
                monitor=victims.monitor,
            )
            for target in targets.unbind(1)
        ]


def object_masks(
    annotations: Annotations, size: tuple[int, int]
) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    """Return where the objects of images are: masks, else filled boxes, else None."""
    if annotations.masks is not None or annotations.boxes is None:
        return annotations.masks
    return filled_boxes(annotations.boxes, size)


@dataclass(frozen=True)
class AttackBatch(Batch):
    """A few samples and what the attack has to know of them.

    Attributes:
        logits: Answers to the clean images.
        objects: Where the objects are; None where the whole image is attacked.
    """

    logits: np.ndarray[Any, np.dtype[np.float32]]
    objects: np.ndarray[Any, np.dtype[np.bool_]] | None


class AttackWork:
    """Attacks the images that a model recognises; see `shards.Work`.

    An image of one label that is answered wrongly as it is keeps its answer, as in the protocol
    of AutoAttack, so robust accuracy never exceeds accuracy. Images of several labels are all
    attacked, for mean average precision also counts by how much an answer is wrong.

    Args:
        model: A frozen classifier.
        dataset: The images.
        condition: What the answers are stored under; whether only the background is attacked.
        clean: Answers to the clean images, a row each.
        attack: The attack.
    """

    def __init__(
        self,
        model: Classifier,
        dataset: Dataset,
        condition: Condition,
        clean: np.ndarray[Any, np.dtype[np.float32]],
        attack: Attack,
    ) -> None:
        self.images = LabelledImages(dataset, next(model.parameters()).device)
        self.condition = condition
        self.clean = clean
        self.attack = attack
        self.noticed: Counter[str] = Counter()  # in the batches of a shard

    def load(self, rows: Indices) -> AttackBatch:
        """Read the samples."""
        batch = self.images.load(rows)
        objects = None
        if self.condition.only_background:
            dataset = self.images.dataset
            objects = object_masks(dataset.annotations(rows), dataset.size)
        return AttackBatch(batch.sample_ids, batch.labels, batch.images, self.clean[rows], objects)

    def compute(self, batch: AttackBatch) -> Arrays:
        """Return the answers after the attack, of its errors those to the clean images."""
        logits, multilabel = batch.logits.copy(), batch.labels.ndim > 1
        right = np.ones(len(logits), np.bool_) if multilabel else is_correct(logits, batch.labels)
        rows = np.flatnonzero(right)
        if len(rows):
            logits[rows] = self._attacked(batch, rows)
        return {**batch.columns, f"{self.condition.name}/logits": logits}

    def _attacked(self, batch: AttackBatch, rows: Indices) -> np.ndarray[Any, np.dtype[np.float32]]:
        pixels = to_pixels(batch.images[rows], self.images.device)
        weight = full(pixels[:, 0])
        if batch.objects is not None:
            weight = outside_object(torch.from_numpy(batch.objects[rows]).to(self.images.device))
        sample_ids = [batch.sample_ids[row] for row in rows]
        labels = torch.from_numpy(batch.labels[rows]).to(self.images.device)
        clean = torch.from_numpy(batch.logits[rows]).to(self.images.device)
        monitor = AttackMonitor.of(len(rows), pixels.device)
        logits = self.attack(Victims(sample_ids, pixels, labels, weight, clean, monitor))
        check_finite(logits, sample_ids)
        if isinstance(self.attack, GradientAttack):
            self._notice(monitor, ~is_misclassified(logits, labels) & weight.flatten(1).any(1))
        return logits.cpu().numpy()

    def _notice(self, monitor: AttackMonitor, withstood: Tensor) -> None:
        """Count images that withstood an attack which had nothing to follow."""
        self.noticed[NO_GRADIENT] += int((monitor.without_gradient() & withstood).sum())
        if self.condition.attack != "fgsm":  # which looks at a loss once
            self.noticed[FLAT] += int((monitor.with_constant_loss() & withstood).sum())

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Count images that an attack by gradients says nothing of."""
        noticed, self.noticed = self.noticed, Counter()
        return {name: count for name, count in noticed.items() if count}
