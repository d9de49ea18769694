"""`perturb` on one batch: heatmaps, background mask, attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.chunks.image_differences import encode
from ectool.artifacts.schema import Arrays
from ectool.attacks.ball import levels
from ectool.attacks.masks import BACKGROUND_RULES, dilate, intersect, smooth, soften, split
from ectool.attacks.random_start import other_rows
from ectool.attacks.replacement import without_object
from ectool.config import PerturbConfig
from ectool.config.perturb import IMAGES
from ectool.datasets.base import Dataset, Indices
from ectool.datasets.labels import check_labelled
from ectool.datasets.perturbed_images import DIFFERENCE, IMAGE, PerturbedImages
from ectool.errors import InputError
from ectool.explainers import Explanation, upsample
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.compiling import compile_parts
from ectool.models.precision import in_precision
from ectool.models.transfer import Columns, pinned, to_device
from ectool.scores.summary import is_misclassified
from ectool.stages.common.batches import AttackBatch, Images, LabelledImages
from ectool.stages.common.constant_maps import FINDING
from ectool.stages.common.huge_logits import huge_logits
from ectool.stages.common.inputs import check_same_labels, positions
from ectool.stages.common.layout import MISCLASSIFIED, NO_GRADIENT, UNMOVED
from ectool.stages.common.loop.tally import Tally
from ectool.stages.explain.explainer import explainer_of
from ectool.stages.perturb.attacker import Attacker
from ectool.stages.perturb.batch import Attacked, PerturbBatch, Prepared

TargetedForward = Callable[[Tensor, Tensor], Tensor]
"""Maps the true classes and the pixels of images to logits."""


class PerturbWork:
    """Perturbs batches of a data set; see `shards.Work`.

    Args:
        config: Options of the stage.
        model: A frozen classifier.
        dataset: The clean images.
        initial: Perturbed samples of an earlier round to start from.
    """

    def __init__(
        self, config: PerturbConfig, model: Classifier, dataset: Dataset, initial: Artifact | None
    ) -> None:
        self.config = config
        self.model = model
        self.dataset = dataset
        self.initial = initial
        check_labelled(dataset, "perturb a labelled split")
        self.rule = BACKGROUND_RULES[config.mask]
        self.explainer = explainer_of(config, model)
        self.device = next(model.parameters()).device
        self.images = LabelledImages(dataset, self.device)
        self.width = self.images.width
        stepped = in_precision(model, config.decided_precision)
        for one in (model, stepped):
            compile_parts(one, config.compile)
        self.attacker = Attacker(config, stepped, model, self.width)
        self.starts = None if initial is None else self._starts(initial)
        self.start_rows = None if initial is None else self._rows_of(initial)
        self.tally = Tally()

    def _rows_of(self, initial: Artifact) -> Indices:
        """Return the row of each sample in the earlier round, after checking its labels."""
        where = f"--init {initial.path}"
        fix = "give samples of the same data and split"
        rows = positions(list(self.dataset.sample_ids), initial.sample_ids, where, fix)
        check_same_labels(initial, self.dataset, (rows, np.arange(len(rows))))
        return rows

    def _starts(self, initial: Artifact) -> PerturbedImages:
        return PerturbedImages(initial, self.dataset, f"--init {initial.path}")

    def load(self, rows: Indices) -> PerturbBatch:
        """Read images, labels, object masks, the earlier round's samples and other images."""
        batch = self._read(rows)
        if self.attacker.kind.start == "other":
            length = len(self.dataset.sample_ids)
            others = other_rows(batch.sample_ids, self.config.seed, rows, length)
            return replace(batch, others=self._read(others))
        return replace(batch, start=self._start(rows, batch.images))

    def _read(self, rows: Indices) -> PerturbBatch:
        batch = self.images.load(rows)
        return PerturbBatch(
            sample_ids=batch.sample_ids,
            labels=batch.labels,
            images=batch.images,
            objects=self._objects(rows) if self.rule.source == "object" else None,
        )

    def _objects(self, rows: Indices) -> np.ndarray[Any, np.dtype[np.bool_]]:
        masks = self.dataset.annotations(rows).masks
        if masks is None:
            raise InputError(
                f"--mask {self.config.mask}",
                expected="a data set with object masks",
                got=f"{self.dataset.name}, which has none",
                fix="choose --mask quantile",
            )
        return masks

    def _start(self, rows: Indices, originals: Images) -> Images | None:
        """Return the samples of the earlier round."""
        if self.starts is None or self.start_rows is None:
            return None
        return pinned(self.starts(self.start_rows[rows], lambda: originals), self.device)

    def compute(self, batch: PerturbBatch) -> Columns:
        """Attack a batch."""
        return self.attack(batch).columns

    def discard(self) -> None:
        """Forget the findings in the batches since the last finished shard."""
        self.tally.discard()

    def attack(
        self,
        batch: PerturbBatch,
        *,
        explain: bool = False,
        forward: TargetedForward | None = None,
    ) -> Attacked:
        """Attack a batch.

        Args:
            batch: The batch.
            explain: Compute heatmaps of the clean images even if the mask does not need them.
            forward: Computes the logits of results in place of the model.
        """
        before = self.prepare(batch, explain=explain)
        evaluation_model = None if forward is None else partial(forward, before.targets)
        result = self.attacker(before.batch, evaluation_model)
        self.tally.check_finite(result.logits, batch.sample_ids)
        self._count(before.batch, result.images, before.images)
        columns: Columns = {
            **batch.columns,
            **self._held(result.images, before.background, batch.images),
            "background": before.background,
            "logits_clean": before.batch.logits.float(),
            "logits_adversarial": result.logits,
        }
        return Attacked(columns, result.images, before.targets, before.clean)

    def prepare(self, batch: PerturbBatch, *, explain: bool = False) -> Prepared:
        """Compute what the attack takes: logits, heatmaps and background of the clean images.

        Args:
            batch: The batch.
            explain: Compute heatmaps even if the mask does not need them.
        """
        images = self._images(batch)
        pixels, targets = to_pixels(images), self.images.targets(batch)
        explanation = None
        if explain or self.rule.source == "heatmap":
            explanation = self.explainer(pixels, targets)
            self.tally.note_maps(explanation.heatmaps, targets)
        logits = self._logits(pixels) if explanation is None else explanation.logits
        self.tally.check_finite(logits, batch.sample_ids)
        background = self._background(pixels, targets, explanation, batch)
        start = None if batch.start is None else to_device(batch.start, self.device)
        if batch.others is not None:
            start = self._without_object(batch.others)
        weight = soften(background, self.config.soft) if self.config.soft else background
        if self.config.object_eps:
            weight = split(weight, self.config.object_share)
        attacked = AttackBatch.of(batch, pixels, weight, logits, start)
        return Prepared(attacked, images, targets, background, explanation)

    def _held(self, images: Tensor, background: Tensor, originals: Images) -> Columns:
        """Return the column of the perturbed images; differences are computed on the host."""
        if self.config.store == IMAGES:
            return {IMAGE: images}
        arrays = images.contiguous().cpu().numpy(), background.cpu().numpy()
        return {DIFFERENCE: encode(arrays[0], originals, arrays[1])}

    def _images(self, batch: PerturbBatch) -> Tensor:
        images = to_device(batch.images, self.device)
        return images.contiguous(memory_format=torch.channels_last)

    def _without_object(self, others: PerturbBatch) -> Tensor:
        """Fill the object of other images, by the same rule, with the mean of their background."""
        pixels, targets = to_pixels(self._images(others)), self.images.targets(others)
        is_explained = self.rule.source == "heatmap"
        explanation = self.explainer(pixels, targets) if is_explained else None
        background = self._background(pixels, targets, explanation, others)
        return levels(without_object(pixels, background)).byte()

    def _counted(self) -> tuple[str, ...]:
        """Return the findings that apply to the attack."""
        return (UNMOVED,) if self.attacker.kind.maximizes is None else (UNMOVED, NO_GRADIENT)

    def _count(self, batch: AttackBatch, perturbed: Tensor, images: Tensor) -> None:
        """Count images with a background that stayed unchanged, or had no usable gradient."""
        may_change = batch.weight.flatten(1).any(1)
        found = {UNMOVED: (perturbed == images).flatten(1).all(1)}
        if self.attacker.takes_steps:
            found[NO_GRADIENT] = batch.monitor.without_gradient()
        for name, mask in found.items():
            self.tally.count(name, mask & may_change)

    def _logits(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model(pixels)
        return logits

    def _background(
        self, pixels: Tensor, targets: Tensor, explanation: Explanation | None, batch: PerturbBatch
    ) -> Tensor:
        """Return the pixels that may change, given the maps of every true label."""
        return dilate(self._selected(pixels, targets, explanation, batch), self.config.dilate)

    def _selected(
        self, pixels: Tensor, targets: Tensor, explanation: Explanation | None, batch: PerturbBatch
    ) -> Tensor:
        """Return the pixels that the rule selects."""
        level = self.config.mask_level
        if batch.objects is not None:
            return self.rule.compute(to_device(batch.objects, self.device), level)
        if explanation is None or self.rule.source != "heatmap":
            return self.rule.compute(pixels[:, 0], level)
        pairs = targets >= 0
        # An index by a mask waits for the device; with one label per image, all are chosen.
        chosen = explanation.heatmaps if self.width is None else explanation.heatmaps[pairs]
        maps = upsample(chosen, self.dataset.size)
        maps = smooth(maps, self.config.mask_smooth * maps.shape[1])
        masks = self.rule.compute(maps, level)
        return masks if self.width is None else intersect(masks, pairs.nonzero()[:, 0], len(pairs))

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count backgrounds of the whole image, predictions after the attack, huge logits."""
        counts = self.tally.take()
        predictions = (
            self._predictions(arrays[f"logits_{name}"]) for name in ("clean", "adversarial")
        )
        flipped = np.not_equal(*predictions).any(axis=1)
        whole = arrays["background"].all(axis=(1, 2))
        misclassified = is_misclassified(arrays["logits_adversarial"], arrays["label"])
        constant = {FINDING: counts[FINDING]} if FINDING in counts else {}
        return {
            **{name: counts[name] for name in self._counted()},
            "whole_picture_background": int(whole.sum()),
            "flipped_predictions": int(flipped.sum()),
            MISCLASSIFIED: int(misclassified.sum()),
            **huge_logits(arrays),
            **constant,
        }

    def _predictions(self, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the predicted class (n, 1), or which labels are predicted (n, c)."""
        predictions: np.ndarray[Any, Any]
        predictions = logits.argmax(axis=1)[:, None] if self.width is None else logits > 0
        return predictions
