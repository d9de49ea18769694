"""Check of gradient attacks: random search on the images that they did not change."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks.losses import LOSSES, scale_of
from ectool.attacks.masks import full
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.random_search import random_search
from ectool.datasets.base import Dataset, Indices
from ectool.metrics.classification import is_correct
from ectool.models.classifier import Classifier, to_pixels
from ectool.seeding import stream
from ectool.stages.common.batches import AttackBatch, ImageBatch, LabelledImages
from ectool.stages.common.layout import RANDOM
from ectool.stages.common.loaded import check_finite
from ectool.stages.common.loop.tally import Tally
from ectool.stages.evaluate.suites.robustness.conditions import Check

TOLERANCE = 0.01
"""Maximum difference of rescaled logits (spread 5) between two passes of the same image."""


class CheckWork:
    """Runs random search on the images that are robust to every attack; see `shards.Work`.

    Args:
        model: A frozen classifier.
        dataset: Single-label images.
        check: Radius and number of queries.
        attacked: Logits after the attacks; misclassified rows keep them.
        seed: Seed of the search.
    """

    def __init__(
        self,
        model: Classifier,
        dataset: Dataset,
        check: Check,
        attacked: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
        seed: int,
    ) -> None:
        self.model = model
        self.images = LabelledImages(dataset, next(model.parameters()).device)
        self.check = check
        self.attacked = attacked
        self.seed = seed
        self.tally = Tally()

    def load(self, rows: Indices) -> tuple[Indices, ImageBatch]:
        """Read the samples."""
        return rows, self.images.load(rows)

    def compute(self, batch: tuple[Indices, ImageBatch]) -> Arrays:
        """Return the logits after the search."""
        numbers, images = batch
        logits = self.attacked[numbers].copy()
        rows = np.flatnonzero(is_correct(logits, images.labels))
        if len(rows):
            logits[rows] = self._searched(images, rows).cpu().numpy()
        return {**images.columns, f"{self.check.name}/logits": logits}

    def _searched(self, batch: ImageBatch, rows: Indices) -> Tensor:
        pixels = to_pixels(batch.images[rows], self.images.device)
        clean = self._count_random_logits(pixels)
        attacked = AttackBatch.of(batch.take(rows), pixels, full(pixels[:, 0]), clean)
        margin, labels = LOSSES["margin"], attacked.labels
        objective = LabelLoss(self.model, margin, labels, stop_when_misclassified=True)
        ball = attacked.ball(self.check.norm, self.check.eps)
        streams = [stream(self.seed, name, "random search") for name in attacked.sample_ids]
        logits = self._logits(random_search(ball, objective, streams, self.check.queries))
        check_finite(logits, attacked.sample_ids)
        return logits

    def _count_random_logits(self, pixels: Tensor) -> Tensor:
        """Return the logits, and count images whose logits differ between two passes."""
        first, second = self._logits(pixels), self._logits(pixels)
        difference = (first - second).abs().amax(1) * scale_of(first)
        self.tally.count(RANDOM, difference > TOLERANCE)
        return first

    def _logits(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model(pixels)
        return logits.float()

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Count the images with random logits."""
        return {RANDOM: self.tally.take()[RANDOM]}

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.tally.discard()
