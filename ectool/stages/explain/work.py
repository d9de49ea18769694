"""`explain` on one batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.schema import Arrays
from ectool.config import ExplainConfig
from ectool.datasets.base import Dataset, Indices
from ectool.datasets.labels import check_labelled
from ectool.datasets.perturbed_images import PerturbedImages
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.compiling import compile_parts
from ectool.models.precision import in_precision
from ectool.models.transfer import Column, Columns, pinned
from ectool.stages.common.batches import Images, LabelledImages, Samples
from ectool.stages.common.inputs import check_same_labels, positions
from ectool.stages.common.loop.tally import Tally
from ectool.stages.explain.explainer import explainer_of
from ectool.stages.explain.storage import MapStorage


@dataclass(frozen=True)
class ExplainBatch(Samples):
    """Some samples with their clean and perturbed images."""

    clean: Images
    adversarial: Images | None


class ExplainWork:
    """Explains batches; see `shards.Work`.

    Args:
        config: Options of the stage.
        model: A frozen classifier.
        dataset: The clean images.
        samples: The perturbed images, if any.
    """

    def __init__(
        self, config: ExplainConfig, model: Classifier, dataset: Dataset, samples: Artifact | None
    ) -> None:
        self.config = config
        self.model = in_precision(model, config.decided_precision)
        compile_parts(self.model, config.compile)
        self.dataset = dataset
        self.samples = samples
        self.explainer = explainer_of(config, self.model)
        self.storage = MapStorage(config, self.model)
        self.tally = Tally()
        self.device = next(model.parameters()).device
        self.ids = list(dataset.sample_ids) if samples is None else samples.sample_ids
        self.perturbed = None
        if samples is not None:
            self.perturbed = PerturbedImages(samples, dataset, f"--samples {samples.path}")
        fix = "give the --data and --split of the samples"
        where = f"{dataset.name} for {config.samples}"
        if config.targets == "label":
            check_labelled(dataset, "explain predictions (--targets prediction)")
        self.images = LabelledImages(dataset, self.device)
        self.data_rows = positions(self.ids, list(dataset.sample_ids), where, fix)
        if samples is not None:
            check_same_labels(samples, dataset, (np.arange(len(self.ids)), self.data_rows))

    def load(self, rows: Indices) -> ExplainBatch:
        """Read the clean images by sample id, and the perturbed images."""
        data_rows = self.data_rows[rows]
        clean = self.dataset.images(data_rows)
        perturbed = None if self.perturbed is None else self.perturbed(rows, lambda: clean)
        return ExplainBatch(
            sample_ids=[self.ids[row] for row in rows],
            labels=self.dataset.labels[data_rows],
            clean=pinned(clean, self.device),
            adversarial=None if perturbed is None else pinned(perturbed, self.device),
        )

    def compute(self, batch: ExplainBatch) -> Columns:
        """Explain the clean images, and the perturbed images for the same classes."""
        targets = self.images.targets(batch) if self.config.targets == "label" else None
        maps, logits = self._explain(batch.clean, targets, batch.sample_ids)
        if targets is None:
            targets = logits.argmax(dim=1)
            if self.images.width is not None:  # one predicted label per row, like true labels
                targets, maps = targets[:, None], maps[:, None]
        arrays: dict[str, Column] = {
            **batch.columns,
            "target": targets,
            "clean": maps,
            "logits_clean": logits,
        }
        if batch.adversarial is not None:
            maps, logits = self._explain(batch.adversarial, targets, batch.sample_ids)
            arrays |= {"adversarial": maps, "logits_adversarial": logits}
        return arrays

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.tally.discard()

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Check the logits, and count the findings in the heatmaps; see `MapStorage`.

        Raises:
            InputError: Logits are not finite.
        """
        self.tally.take()
        return self.storage.findings(arrays)

    def _explain(
        self, images: Images, targets: Tensor | None, sample_ids: list[str]
    ) -> tuple[Tensor, Tensor]:
        """Return maps as stored, and float32 logits."""
        pixels = to_pixels(images, self.device)
        explanation = self.explainer(pixels, targets)
        self.tally.check_finite(explanation.logits, sample_ids)
        return self.storage.pack(explanation.heatmaps, pixels), explanation.logits.float()
