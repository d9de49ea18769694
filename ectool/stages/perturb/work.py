"""What `perturb` does to one batch: mask, start, attack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.schema import Arrays
from ectool.attacks.masks import BACKGROUND_RULES, dilate, intersect, soften
from ectool.attacks.monitor import AttackMonitor
from ectool.config import PerturbConfig
from ectool.datasets.base import Dataset, Indices
from ectool.datasets.labels import check_labelled
from ectool.errors import InputError
from ectool.explainers import Explanation, upsample
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.precision import in_precision
from ectool.stages.common import batches as labelled
from ectool.stages.common.batches import Images, LabelledImages
from ectool.stages.common.constant_maps import ConstantMaps
from ectool.stages.common.inputs import check_images, check_same_labels, positions
from ectool.stages.common.layout import NO_GRADIENT, UNMOVED
from ectool.stages.common.loaded import check_finite
from ectool.stages.explain.explainer import explainer_of
from ectool.stages.perturb.attacker import Attacker, Clean

TargetedForward = Callable[[Tensor, Tensor], Tensor]
"""Maps the true classes and the pixels of images to logits."""


@dataclass(frozen=True)
class Batch(labelled.Batch):
    """What the attack needs of a few samples."""

    objects: np.ndarray[Any, np.dtype[np.bool_]] | None
    start: Images | None


@dataclass(frozen=True)
class Attacked:
    """A batch after the attack.

    Attributes:
        arrays: Its rows of the samples artifact.
        images: The perturbed images, as they are on the device.
        targets: The true classes, one each or a row of several with -1 for none.
        clean: Heatmaps of the clean images for these classes, where they were needed.
    """

    arrays: Arrays
    images: Tensor
    targets: Tensor
    clean: Explanation | None


class PerturbWork:
    """Perturbs batches of a data set; see `shards.Work`.

    Args:
        config: The stage's options.
        model: A frozen classifier.
        dataset: The clean images.
        initial: Samples of an earlier round to start from.
    """

    def __init__(
        self, config: PerturbConfig, model: Classifier, dataset: Dataset, initial: Artifact | None
    ) -> None:
        self.config = config
        self.model = model
        self.dataset = dataset
        self.initial = initial
        check_labelled(dataset, "perturb a labelled split")
        self.constant = ConstantMaps()
        self.rule = BACKGROUND_RULES[config.mask]
        self.explainer = explainer_of(config, model)
        self.device = next(model.parameters()).device
        self.images = LabelledImages(dataset, self.device)
        self.width = self.images.width
        self.attacker = Attacker(config, in_precision(model, config.precision), model, self.width)
        self.start_rows = None if initial is None else self._rows_of(initial)
        self.noticed: Counter[str] = Counter()  # in the batches of a shard

    def _rows_of(self, initial: Artifact) -> Indices:
        """Return where each sample lies in the earlier round, after checking its images."""
        where = f"--init {initial.path}"
        check_images(initial, self.dataset, where)
        fix = "give samples of the same data and split"
        rows = positions(list(self.dataset.sample_ids), initial.sample_ids, where, fix)
        check_same_labels(initial, self.dataset, (rows, np.arange(len(rows))))
        return rows

    def load(self, rows: Indices) -> Batch:
        """Read images, labels, object masks and the earlier round's samples."""
        batch = self.images.load(rows)
        return Batch(
            sample_ids=batch.sample_ids,
            labels=batch.labels,
            images=batch.images,
            objects=self._objects(rows) if self.rule.source == "object" else None,
            start=self._start(rows),
        )

    def _objects(self, rows: Indices) -> np.ndarray[Any, np.dtype[np.bool_]]:
        masks = self.dataset.annotations(rows).masks
        if masks is None:
            raise InputError(
                f"--mask {self.config.mask}",
                expected="a data set with object masks",
                got=f"{self.dataset.name} without",
                fix="choose --mask quantile",
            )
        return masks

    def _start(self, rows: Indices) -> Images | None:
        if self.initial is None or self.start_rows is None:
            return None
        images: Images = self.initial.take("image", self.start_rows[rows])
        return images

    def compute(self, batch: Batch) -> Arrays:
        """Attack a batch."""
        return self.attack(batch).arrays

    def attack(
        self,
        batch: Batch,
        *,
        explain: bool = False,
        forward: TargetedForward | None = None,
    ) -> Attacked:
        """Attack a batch.

        Args:
            batch: The batch.
            explain: Draw heatmaps of the clean images also where the mask needs none.
            forward: Computes the logits of results in place of the model.
        """
        images = torch.from_numpy(batch.images).to(self.device, memory_format=torch.channels_last)
        pixels, targets = to_pixels(images), self.images.targets(batch)
        explanation = None
        if explain or self.rule.source == "heatmap":
            explanation = self.explainer(pixels, targets)
            self.constant.note(explanation.heatmaps, targets)
        logits = self._ask(pixels) if explanation is None else explanation.logits
        check_finite(logits, batch.sample_ids)
        background = dilate(
            self._background(pixels, targets, explanation, batch), self.config.dilate
        )
        start = None if batch.start is None else torch.from_numpy(batch.start).to(self.device)
        clean = Clean(
            sample_ids=batch.sample_ids,
            pixels=pixels,
            labels=torch.from_numpy(batch.labels).to(self.device),
            weight=soften(background, self.config.soft) if self.config.soft else background,
            logits=logits,
            start=start,
            monitor=AttackMonitor.of(len(pixels), self.device),
        )
        evaluation_model = None if forward is None else partial(forward, targets)
        attack = self.attacker(clean, evaluation_model)
        check_finite(attack.logits, batch.sample_ids)
        self._notice(clean, attack.images, images)
        arrays = {
            **batch.columns,
            "image": attack.images.contiguous().cpu().numpy(),
            "background": background.cpu().numpy(),
            "logits_clean": logits.float().cpu().numpy(),
            "logits_adversarial": attack.logits.cpu().numpy(),
        }
        return Attacked(arrays, attack.images, targets, explanation)

    def _noticeable(self) -> tuple[str, ...]:
        """Return what a batch is looked at for: gradients, where the attack follows them."""
        return (UNMOVED,) if self.attacker.kind.maximizes is None else (UNMOVED, NO_GRADIENT)

    def _notice(self, clean: Clean, moved: Tensor, images: Tensor) -> None:
        """Count images that had something to move, and did not, or nothing to follow."""
        may_move = clean.weight.flatten(1).any(1)
        found = {UNMOVED: (moved == images).flatten(1).all(1)}
        if clean.monitor is not None and self.attacker.takes_steps:
            found[NO_GRADIENT] = clean.monitor.without_gradient()
        for name, those in found.items():
            self.noticed[name] += int((those & may_move).sum())

    def _ask(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model(pixels)
        return logits

    def _background(
        self, pixels: Tensor, targets: Tensor, explanation: Explanation | None, batch: Batch
    ) -> Tensor:
        """Return what may move: what the rule leaves of the maps of every true label."""
        level = self.config.mask_level
        if batch.objects is not None:
            return self.rule.compute(torch.from_numpy(batch.objects).to(self.device), level)
        if explanation is None or self.rule.source != "heatmap":
            return self.rule.compute(pixels[:, 0], level)
        pairs = targets >= 0
        maps = upsample(explanation.heatmaps[pairs], self.dataset.size)
        masks = self.rule.compute(maps, level)
        return masks if self.width is None else intersect(masks, pairs.nonzero()[:, 0], len(pairs))

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count whole-image backgrounds, untouched samples and changed predictions."""
        answers = (self._answers(arrays[f"logits_{name}"]) for name in ("clean", "adversarial"))
        flipped = np.not_equal(*answers).any(axis=1)
        whole = arrays["background"].all(axis=(1, 2))
        noticed, self.noticed = self.noticed, Counter()
        return {
            **{name: noticed[name] for name in self._noticeable()},
            "whole_picture_background": int(whole.sum()),
            "flipped_predictions": int(flipped.sum()),
            **self.constant.take(),
        }

    def _answers(self, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the predicted class, or which of several labels are found; a row each."""
        answers: np.ndarray[Any, Any]
        answers = logits.argmax(axis=1)[:, None] if self.width is None else logits > 0
        return answers
