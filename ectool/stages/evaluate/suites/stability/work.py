"""Stability of one batch: its heatmaps under attack, corruptions and small noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks.ball import LinfBall
from ectool.attacks.masks import full
from ectool.config import PerturbConfig
from ectool.config.measure import SIMILARITY, STABILITY
from ectool.corruptions import corrupt
from ectool.datasets.base import Dataset, Indices
from ectool.explainers import Explanation
from ectool.models.classifier import Classifier, to_pixels
from ectool.scores.multilabel import (
    LABEL_STABILITIES,
    average_over_labels,
    label_similarity,
)
from ectool.scores.similarity import SIMILARITIES
from ectool.scores.stability import STABILITIES
from ectool.scores.weights import explanation_consistency
from ectool.seeding import stream
from ectool.stability import sensitivity_max
from ectool.stages.evaluate.suites.stability.protocol import StabilityProtocol
from ectool.stages.perturb.batch import Attacked, PerturbBatch
from ectool.stages.perturb.work import PerturbWork

Images = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class StabilityBatch:
    """Some samples, and their corrupted images by the name of the corruption."""

    clean: PerturbBatch
    corrupted: dict[str, Images]


class StabilityWork:
    """Measures the changes of the heatmaps of true labels with the image; see `shards.Work`.

    Cost: the attack, and `draws` + 4 explanations.

    Args:
        config: Options of the attack on the explanation, and of the heatmaps.
        protocol: Options of the other measures.
        model: A frozen classifier.
        dataset: The images.
    """

    def __init__(
        self,
        config: PerturbConfig,
        protocol: StabilityProtocol,
        model: Classifier,
        dataset: Dataset,
    ) -> None:
        self.perturb = PerturbWork(config, model, dataset, None)
        self.protocol = protocol
        self.seed = config.seed

    def load(self, rows: Indices) -> StabilityBatch:
        """Read samples, and corrupt them."""
        clean, protocol = self.perturb.load(rows), self.protocol
        corrupted = {
            name: corrupt(
                clean.images,
                kind,
                protocol.severity,
                sample_ids=clean.sample_ids,
                seed=self.seed,
            )
            for name, kind in protocol.corruptions.items()
        }
        return StabilityBatch(clean, corrupted)

    def compute(self, batch: StabilityBatch) -> Arrays:
        """Return consistency under the attack and each corruption, and max-sensitivity."""
        attacked = self.perturb.attack(batch.clean, explain=True)
        others = {"attack": attacked.images.cpu().numpy(), **batch.corrupted}
        found = {
            f"consistency_{name}": self._consistency(attacked, images)
            for name, images in others.items()
        }
        samples = batch.clean.columns
        return {**samples, **found, "sensitivity_max": self._sensitivity(attacked, batch.clean)}

    def _explain(self, pixels: Tensor, targets: Tensor) -> Explanation:
        return self.perturb.explainer(pixels, targets)

    def _consistency(self, attacked: Attacked, images: Images) -> np.ndarray[Any, Any]:
        """Return E between the clean and other images, with the measure of the protocol."""
        targets, clean, similarity = attacked.targets, _clean(attacked), SIMILARITIES[SIMILARITY]
        changed = self._explain(to_pixels(images, targets.device), targets)
        classes = targets.cpu().numpy()
        logits = clean.logits.float().cpu().numpy(), changed.logits.float().cpu().numpy()
        maps = clean.heatmaps.cpu().numpy(), changed.heatmaps.cpu().numpy()
        if targets.ndim == 1:
            stable = STABILITIES[STABILITY](*logits, classes)
            return explanation_consistency(similarity(*maps), stable)
        stable = LABEL_STABILITIES[STABILITY](*logits, classes)
        alike = label_similarity(similarity, *maps, classes)
        return average_over_labels(explanation_consistency(alike, stable))

    def _sensitivity(self, attacked: Attacked, batch: PerturbBatch) -> np.ndarray[Any, Any]:
        targets = attacked.targets
        pixels = to_pixels(batch.images, targets.device)
        found = (
            sensitivity_max(
                lambda neighbours: self._explain(neighbours, targets).heatmaps,
                _clean(attacked).heatmaps,
                self._neighbours(pixels, batch.sample_ids),
            )
            .cpu()
            .numpy()
        )
        return found if found.ndim == 1 else average_over_labels(found)

    def _neighbours(self, pixels: Tensor, sample_ids: list[str]) -> Iterator[Tensor]:
        """Yield random points of the ball, drawn from (seed, sample id)."""
        ball = LinfBall.around(pixels, full(pixels[:, 0]), self.protocol.radius)
        streams = [stream(self.seed, name, "sensitivity") for name in sample_ids]
        for _ in range(self.protocol.draws):
            yield ball.random_point(streams)

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count the samples with a zero heatmap."""
        self.perturb.tally.take()  # its counts are those of `perturb`; its check holds here, too
        return {"undefined_heatmaps": int(np.isnan(arrays["sensitivity_max"]).sum())}

    def discard(self) -> None:
        """Forget the batches since the last finished shard."""
        self.perturb.discard()


def _clean(attacked: Attacked) -> Explanation:
    if attacked.clean is None:
        raise ValueError("the attack did not explain the clean images")
    return attacked.clean
