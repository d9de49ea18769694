"""Predictions of every background variant of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ectool.artifacts.schema import Arrays
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.outputs.probabilities import gives_probabilities
from ectool.models.transfer import Column, Columns, pinned
from ectool.stages.common.batches import Images, Samples
from ectool.stages.common.huge_logits import huge_logits
from ectool.stages.common.layout import PROBABILITIES
from ectool.stages.common.loop.tally import Tally


@dataclass(frozen=True)
class VariantBatch(Samples):
    """Some samples, and their images by the name of the variant."""

    variants: dict[str, Images]


class PredictWork:
    """Predicts batches; see `shards.Work`.

    Args:
        model: A frozen classifier.
        variants: The same samples in each variant.
    """

    def __init__(self, model: Classifier, variants: Mapping[str, Dataset]) -> None:
        self.model = model
        self.variants = variants
        self.any = next(iter(variants.values()))
        self.device = next(model.parameters()).device
        self.tally = Tally()

    def load(self, rows: Indices) -> VariantBatch:
        """Read the samples in every variant."""
        return VariantBatch(
            sample_ids=[self.any.sample_ids[row] for row in rows],
            labels=self.any.labels[rows],
            variants={
                name: pinned(dataset.images(rows), self.device)
                for name, dataset in self.variants.items()
            },
        )

    def compute(self, batch: VariantBatch) -> Columns:
        """Return the logits of every variant."""
        arrays: dict[str, Column] = dict(batch.columns)
        for name, images in batch.variants.items():
            with torch.no_grad():
                logits = self.model(to_pixels(images, self.device))
            self.tally.check_finite(logits, batch.sample_ids)
            arrays[f"{name}/logits"] = logits.float()
        return arrays

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.tally.discard()

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count huge logits; and all samples, where the model returns probabilities instead.

        Raises:
            InputError: Logits are not finite.
        """
        self.tally.take()
        found = huge_logits(arrays)
        if gives_probabilities(self.model):
            found[PROBABILITIES] = len(arrays["sample_id"])
        return found
