"""Agreement of the heatmaps of two methods for one batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.config import HeatmapOptions
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.interpolation import average_cells
from ectool.models.precision import in_precision
from ectool.scores.agreement import AGREEMENTS, heatmap_agreement
from ectool.stages.common.batches import ImageBatch, LabelledImages
from ectool.stages.common.loaded import check_finite
from ectool.stages.explain.explainer import explainer_of


class AgreementWork:
    """Compares heatmaps of two methods; see `shards.Work`.

    The finer heatmap is averaged over the cells of the coarser one. Interpolated pixels carry no
    information, but would count as much as other pixels.

    Args:
        options: Options of the first heatmap.
        other: Options of the second heatmap; None where its method does not fit the network, so
            that agreement is undefined.
        model: A frozen classifier.
        dataset: The images.
    """

    def __init__(
        self,
        options: HeatmapOptions,
        other: HeatmapOptions | None,
        model: Classifier,
        dataset: Dataset,
    ) -> None:
        self.device = next(model.parameters()).device
        self.images = LabelledImages(dataset, self.device)
        model = in_precision(model, options.decided_precision)
        self.explainer = explainer_of(options, model)
        self.other = None if other is None else explainer_of(other, model)

    def load(self, rows: Indices) -> ImageBatch:
        """Read samples."""
        return self.images.load(rows)

    def compute(self, batch: ImageBatch) -> Arrays:
        """Return the agreement of both methods' heatmaps of the true labels."""
        if self.other is None:
            undefined = np.full(len(batch.labels), np.nan, np.float32)
            return {**batch.columns, **dict.fromkeys(AGREEMENTS, undefined)}
        pixels, targets = to_pixels(batch.images, self.device), self.images.targets(batch)
        explanation = self.explainer(pixels, targets)
        check_finite(explanation.logits, batch.sample_ids)
        other = self.other(pixels, targets)
        both = _on_one_grid(explanation.heatmaps, other.heatmaps)
        first, second, classes = (values.cpu().numpy() for values in (*both, targets))
        found = {
            name: heatmap_agreement(measure, first, second, classes)
            for name, measure in AGREEMENTS.items()
        }
        return {**batch.columns, **found}

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count the samples on which agreement is undefined."""
        return {"undefined_agreement": int(np.isnan(arrays["rank_correlation"]).sum())}


def check_fits(options: HeatmapOptions, model: Classifier, size: tuple[int, int]) -> None:
    """Check that a method can explain a network, with a black image.

    Args:
        options: Options of the heatmap.
        model: The network.
        size: (height, width) of its images.

    Raises:
        UsageError: The method does not fit the options.
        InputError: It does not fit the network.
    """
    black = model.mean.new_zeros(1, 3, *size)
    explainer_of(options, model)(black, black.new_zeros(1, dtype=torch.int64))


def _on_one_grid(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return both maps at the coarser resolution of each axis."""
    height, width = map(min, first.shape[-2:], second.shape[-2:])
    return _averaged(first, (height, width)), _averaged(second, (height, width))


def _averaged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return maps if tuple(maps.shape[-2:]) == size else average_cells(maps, size)
