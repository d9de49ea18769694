"""Maps of the filters of the target layer for one batch."""

from __future__ import annotations

from ectool.artifacts.schema import Arrays
from ectool.datasets.base import Dataset, Indices
from ectool.explainers.cut import run_forward
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.transfer import Columns
from ectool.stages.common.batches import ImageBatch, LabelledImages
from ectool.stages.common.loop.tally import Tally


class FilterWork:
    """Records the maps of the target layer after ReLU, and after a mask; see `shards.Work`.

    Cost: 1 forward pass for each image.

    Args:
        model: A frozen classifier.
        dataset: The images.
    """

    def __init__(self, model: Classifier, dataset: Dataset) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.images = LabelledImages(dataset, self.device)
        self.tally = Tally()

    def load(self, rows: Indices) -> ImageBatch:
        """Read samples."""
        return self.images.load(rows)

    def compute(self, batch: ImageBatch) -> Columns:
        """Return the maps of every filter."""
        maps, logits = run_forward(self.model, to_pixels(batch.images, self.device))
        self.tally.check_finite(logits, batch.sample_ids)
        return {**batch.columns, "maps": maps.relu().float()}

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Check the logits, and return no findings.

        Raises:
            InputError: Logits are not finite.
        """
        return dict(self.tally.take())

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.tally.discard()
