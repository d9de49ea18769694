"""Predictions of images in which a share of the background is that of another image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ectool.artifacts.schema import Arrays
from ectool.corruptions.backgrounds import replaced_share
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier
from ectool.models.transfer import Columns
from ectool.stages.evaluate.suites.classification.predict import PredictWork, VariantBatch


class ReplacedWork:
    """Replaces a share of the background of images, and predicts them; see `shards.Work`.

    Args:
        model: A frozen classifier.
        original: Images with object masks.
        other: The same objects on other backgrounds.
        share: Share of the background's pixels that come from `other`.
        seed: Seed of their selection.
        condition: Name of the predictions in the artifact.
    """

    def __init__(
        self,
        model: Classifier,
        original: Dataset,
        other: Dataset,
        *,
        share: float,
        seed: int,
        condition: str,
    ) -> None:
        self.predictions = PredictWork(model, {"original": original, "other": other})
        self.original = original
        self.share = share
        self.seed = seed
        self.condition = condition

    def load(self, rows: Indices) -> VariantBatch:
        """Read both images of every sample and combine them."""
        batch = self.predictions.load(rows)
        masks = self.original.annotations(rows).masks
        if masks is None:  # no object: the whole image is background
            masks = np.zeros((len(rows), *self.original.size), np.bool_)
        replaced = replaced_share(masks, batch.sample_ids, self.share, self.seed)[:, None]
        images = np.where(replaced, batch.variants["other"], batch.variants["original"])
        return replace(batch, variants={self.condition: images})

    def compute(self, batch: VariantBatch) -> Columns:
        """Return the logits."""
        return self.predictions.compute(batch)

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Return the findings of `PredictWork`."""
        return self.predictions.findings(arrays)

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.predictions.discard()
