"""Predictions of a batch under one kind of corruption, at every severity."""

from __future__ import annotations

from dataclasses import replace

from ectool.artifacts.schema import Arrays
from ectool.corruptions import SEVERITIES, corrupt
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier
from ectool.models.transfer import Columns
from ectool.stages.evaluate.suites.classification.predict import PredictWork, VariantBatch
from ectool.stages.evaluate.suites.robustness.conditions import severity_name

CLEAN = "clean"


class CorruptionWork:
    """Corrupts batches, in the reader thread, and predicts them; see `shards.Work`.

    Args:
        model: A frozen classifier.
        dataset: The images.
        kind: One of `CORRUPTIONS`.
        seed: Seed of the random numbers.
    """

    def __init__(self, model: Classifier, dataset: Dataset, kind: str, seed: int) -> None:
        self.predictions = PredictWork(model, {CLEAN: dataset})
        self.kind = kind
        self.seed = seed

    def load(self, rows: Indices) -> VariantBatch:
        """Read the samples, and corrupt them at every severity."""
        batch = self.predictions.load(rows)
        images, ids = batch.variants[CLEAN], batch.sample_ids
        corrupted = {
            severity_name(severity): corrupt(
                images, self.kind, severity, sample_ids=ids, seed=self.seed
            )
            for severity in SEVERITIES
        }
        return replace(batch, variants=corrupted)

    def compute(self, batch: VariantBatch) -> Columns:
        """Return the logits at every severity."""
        return self.predictions.compute(batch)

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Return the findings of `PredictWork`."""
        return self.predictions.findings(arrays)

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.predictions.discard()
