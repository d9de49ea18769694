"""What withstood attacks by gradients, attacked without any: are these attacks to be believed?"""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks.ball import BALLS
from ectool.attacks.losses import LOSSES, scale_of
from ectool.attacks.masks import full
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.random_search import random_search
from ectool.datasets.base import Dataset, Indices
from ectool.metrics.classification import is_correct
from ectool.models.classifier import Classifier, to_pixels
from ectool.seeding import stream
from ectool.stages.common.batches import Batch, LabelledImages
from ectool.stages.common.layout import RANDOM
from ectool.stages.common.loaded import check_finite
from ectool.stages.evaluate.suites.robustness.conditions import Check

TOLERANCE = 0.01
"""Most by which rescaled logits, of the spread 5, may differ when an image is asked about again."""


class CheckWork:
    """Searches at random around the images that withstood every attack; see `shards.Work`.

    Args:
        model: A frozen classifier.
        dataset: Images of one label each.
        check: Radius and number of queries.
        attacked: Logits after the attacks, a row each; rows that are wrong keep them.
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
        self.noticed: Counter[str] = Counter()  # in the batches of a shard

    def load(self, rows: Indices) -> tuple[Indices, Batch]:
        """Read the samples."""
        return rows, self.images.load(rows)

    def compute(self, batch: tuple[Indices, Batch]) -> Arrays:
        """Return the logits after the search."""
        numbers, images = batch
        logits = self.attacked[numbers].copy()
        rows = np.flatnonzero(is_correct(logits, images.labels))
        if len(rows):
            logits[rows] = self._searched(images, rows).cpu().numpy()
        return {**images.columns, f"{self.check.name}/logits": logits}

    def _searched(self, batch: Batch, rows: Indices) -> Tensor:
        device, check = self.images.device, self.check
        pixels = to_pixels(batch.images[rows], device)
        ids = [batch.sample_ids[row] for row in rows]
        self._notice_random_logits(pixels)
        labels = torch.from_numpy(batch.labels[rows]).to(device)
        objective = LabelLoss(self.model, LOSSES["margin"], labels, stop_when_misclassified=True)
        ball = BALLS[check.norm].around(pixels, full(pixels[:, 0]), check.eps)
        streams = [stream(self.seed, name, "random search") for name in ids]
        logits = self._ask(random_search(ball, objective, streams, check.queries))
        check_finite(logits, ids)
        return logits

    def _notice_random_logits(self, pixels: Tensor) -> None:
        """Count images about which the model says one thing, and then another."""
        once, again = self._ask(pixels), self._ask(pixels)
        apart = (once - again).abs().amax(1) * scale_of(once)
        self.noticed[RANDOM] += int((apart > TOLERANCE).sum())

    def _ask(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model(pixels)
        return logits.float()

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Count the images with random logits."""
        noticed, self.noticed = self.noticed, Counter()
        return {RANDOM: noticed[RANDOM]}
