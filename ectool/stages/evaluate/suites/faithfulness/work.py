"""Faithfulness of one batch: curves of three kinds of heatmaps."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset, Indices
from ectool.faithfulness import (
    Explained,
    centre_map,
    confidence_changes,
    deletion,
    insertion,
    pixel_flipping,
    random_maps,
    road,
)
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.precision import in_precision
from ectool.models.transfer import Column, Columns
from ectool.stages.common.batches import ImageBatch, LabelledImages
from ectool.stages.common.loop.tally import Tally
from ectool.stages.evaluate.suites.faithfulness.protocol import FaithfulnessProtocol
from ectool.stages.explain.explainer import explainer_of


class FaithfulnessWork:
    """Measures the faithfulness of three kinds of heatmaps; see `shards.Work`.

    These are the heatmaps of the method, random ones, and a spot at the centre, all of the same
    resolution.

    Args:
        config: Options of the heatmaps, and the seed of the random ones.
        model: A frozen classifier.
        dataset: Images of one class each.
        protocol: Options of the measures.
    """

    def __init__(
        self,
        config: EvaluateConfig,
        model: Classifier,
        dataset: Dataset,
        protocol: FaithfulnessProtocol,
    ) -> None:
        self.seed, self.tolerance = config.seed, config.curve_tolerance
        self.model = in_precision(model, config.decided_precision)
        self.device = next(model.parameters()).device
        self.images = LabelledImages(dataset, self.device)
        self.explainer = explainer_of(config, self.model)
        self.protocol = protocol
        self.tally = Tally()

    def load(self, rows: Indices) -> ImageBatch:
        """Read samples."""
        return self.images.load(rows)

    def compute(self, batch: ImageBatch) -> Columns:
        """Return every curve of every kind of maps."""
        pixels, targets = to_pixels(batch.images, self.device), self.images.targets(batch)
        explanation = self.explainer(pixels, targets)
        self.tally.check_finite(explanation.logits, batch.sample_ids)
        self.tally.note_maps(explanation.heatmaps, targets)
        explained = Explained(self.model, pixels, targets)
        arrays: dict[str, Column] = dict(batch.columns)
        for kind, maps in self._kinds(explanation.heatmaps, batch.sample_ids):
            found = self._measure(explained, maps, batch.sample_ids)
            arrays |= {f"{kind}/{name}": values for name, values in found.items()}
        return arrays

    def _kinds(self, maps: Tensor, sample_ids: list[str]) -> Iterator[tuple[str, Tensor]]:
        """Yield the heatmaps of the batch, and those that do not depend on the model."""
        size = maps.shape[1], maps.shape[2]
        yield "method", maps
        yield "random", random_maps(sample_ids, self.seed, size).to(maps)
        yield "centre", centre_map(size).to(maps).expand_as(maps)

    def _measure(
        self, explained: Explained, maps: Tensor, sample_ids: list[str]
    ) -> dict[str, Tensor]:
        """Return every curve of one kind of heatmaps, with drop and increase in confidence."""
        patch, patches = self.protocol.patch_in(explained.size), self.protocol.patches
        shares, steps, seed = self.protocol.shares, self.protocol.steps, self.seed
        tolerance = self.tolerance
        morf = road(explained, maps, sample_ids, order="morf", shares=shares, seed=seed)
        lerf = road(explained, maps, sample_ids, order="lerf", shares=shares, seed=seed)
        flips = pixel_flipping(explained, maps, patch=patch, steps=patches, tolerance=tolerance)
        changes = confidence_changes(explained, maps)
        return {
            "deletion": deletion(explained, maps, steps=steps, tolerance=tolerance).probabilities,
            "insertion": insertion(explained, maps, steps=steps, tolerance=tolerance).probabilities,
            "pixel_flipping": flips.probabilities,
            "road_morf": morf.correct,
            "road_lerf": lerf.correct,
            "average_drop": changes.drop,
            "increase_in_confidence": changes.increase,
        }

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Return the number of constant heatmaps."""
        return dict(self.tally.take())

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.tally.discard()
