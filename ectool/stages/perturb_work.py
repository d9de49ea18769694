"""What `perturb` does to one batch: mask, start, attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.schema import Arrays
from ectool.attacks.masks import BACKGROUND_RULES, dilate, intersect, soften
from ectool.config import PerturbConfig
from ectool.datasets.base import Dataset, Indices, Labels, is_multilabel
from ectool.datasets.labels import check_labelled, most_positives, positives
from ectool.errors import InputError
from ectool.explainers import upsample
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.attacking import Attacker, Clean
from ectool.stages.explaining import explainer_of
from ectool.stages.inputs import check_images, positions
from ectool.stages.networks import check_finite

Images = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Batch:
    """What the attack needs of a few samples."""

    sample_ids: list[str]
    labels: Labels
    images: Images
    objects: np.ndarray[Any, np.dtype[np.bool_]] | None
    start: Images | None


class PerturbWork:
    """Perturbs batches of a data set; see `shards.Work`.

    Args:
        config: The stage's options.
        model: A frozen classifier.
        dataset: The clean pictures.
        initial: Samples of an earlier round to start from.
    """

    def __init__(
        self, config: PerturbConfig, model: Classifier, dataset: Dataset, initial: Artifact | None
    ) -> None:
        self.config = config
        self.model = model
        self.dataset = dataset
        self.initial = initial
        self.ids: Sequence[str] = dataset.sample_ids
        check_labelled(dataset, "perturb a labelled split")
        many = is_multilabel(dataset.labels)
        self.width = most_positives(dataset.labels) if many else None
        self.rule = BACKGROUND_RULES[config.mask]
        self.explainer = explainer_of(config, model)
        self.device = next(model.parameters()).device
        self.attacker = Attacker(config, model, model, self.width)
        self.start_rows = None if initial is None else self._rows_of(initial)

    def _rows_of(self, initial: Artifact) -> Indices:
        """Return where each sample lies in the earlier round, after checking its pictures."""
        where = f"--init {initial.path}"
        check_images(initial, self.dataset, where)
        fix = "give samples of the same data and split"
        return positions(list(self.ids), initial.sample_ids, where, fix)

    def load(self, rows: Indices) -> Batch:
        """Read pictures, labels, object masks and the earlier round's samples."""
        return Batch(
            sample_ids=[self.ids[row] for row in rows],
            labels=self.dataset.labels[rows],
            images=self.dataset.images(rows),
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
        images = torch.from_numpy(batch.images).to(self.device, memory_format=torch.channels_last)
        labels = torch.from_numpy(batch.labels).to(self.device)
        pixels = to_pixels(images)
        logits, background = self._background(pixels, labels, batch)
        check_finite(logits, batch.sample_ids)
        background = dilate(background, self.config.dilate)
        start = None if batch.start is None else torch.from_numpy(batch.start).to(self.device)
        attack = self.attacker(
            Clean(
                sample_ids=batch.sample_ids,
                pixels=pixels,
                labels=labels,
                weight=soften(background, self.config.soft) if self.config.soft else background,
                logits=logits,
                start=start,
            )
        )
        check_finite(attack.logits, batch.sample_ids)
        return {
            "sample_id": np.array(batch.sample_ids, dtype=np.dtypes.StringDType()),
            "label": batch.labels,
            "image": attack.images.contiguous().cpu().numpy(),
            "background": background.cpu().numpy(),
            "logits_clean": logits.float().cpu().numpy(),
            "logits_adversarial": attack.logits.cpu().numpy(),
        }

    def _background(self, pixels: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the clean logits and the mask of what may move."""
        if self.rule.source == "heatmap":
            return self._unexplained(pixels, labels, batch)
        with torch.no_grad():
            logits = self.model(pixels)
        source = pixels[:, 0]
        if batch.objects is not None:
            source = torch.from_numpy(batch.objects).to(self.device)
        return logits, self.rule.compute(source, self.config.mask_level)

    def _unexplained(self, pixels: Tensor, labels: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the clean logits and what the rule leaves of the heatmaps of every true label."""
        level, size = self.config.mask_level, self.dataset.size
        if self.width is None:
            explanation = self.explainer(pixels, labels)
            source = upsample(explanation.heatmaps, size)
            return explanation.logits, self.rule.compute(source, level)
        targets = torch.from_numpy(positives(batch.labels, self.width)).to(self.device)
        explanation = self.explainer(pixels, targets)
        pairs = targets >= 0
        source = upsample(explanation.heatmaps[pairs], size)
        samples = pairs.nonzero()[:, 0]
        background = intersect(self.rule.compute(source, level), samples, len(targets))
        return explanation.logits, background

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count whole-picture backgrounds, untouched samples and changed predictions."""
        answers = (self._answers(arrays[f"logits_{name}"]) for name in ("clean", "adversarial"))
        flipped = np.not_equal(*answers).any(axis=1)
        whole = arrays["background"].all(axis=(1, 2))
        return {
            "whole_picture_background": int(whole.sum()),
            "flipped_predictions": int(flipped.sum()),
        }

    def _answers(self, logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the predicted class, or which of several labels are found; a row each."""
        answers: np.ndarray[Any, Any]
        answers = logits.argmax(axis=1)[:, None] if self.width is None else logits > 0
        return answers
