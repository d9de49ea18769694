"""Sanity of one batch: similarity of its heatmaps to those of partly randomised networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.config import HeatmapOptions
from ectool.datasets.base import Dataset, Indices
from ectool.explainers import Explainer
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.precision import in_precision
from ectool.sanity import Weights, draw_weights, find_blocks, with_weights
from ectool.scores.agreement import AGREEMENTS, heatmap_agreement
from ectool.stages.common.batches import ImageBatch, LabelledImages
from ectool.stages.common.constant_maps import UNALTERED
from ectool.stages.common.loaded import check_finite
from ectool.stages.explain.explainer import explainer_of

MODES = ("cascading", "independent")
"""Randomised are all blocks from the head down to one, or that one only."""
SIMILARITIES = ("rank_correlation", "ssim")


@dataclass(frozen=True)
class Randomised:
    """A network with some randomised blocks.

    Attributes:
        conditions: Its conditions, `NUMBER-BLOCK/MODE`, blocks counted from the head. The network
            of the first block has both modes.
        explainer: Explainer of the network.
        differs: Whether any weight was changed; a draw can equal the present weights.
    """

    conditions: tuple[str, ...]
    explainer: Explainer
    differs: bool


def draw_of_samples(sample_ids: Sequence[str], draws: int, seed: int) -> dict[str, int]:
    """Assign samples at random to draws of the weights, as evenly as possible.

    Args:
        sample_ids: The samples; their order has no effect.
        draws: Number of draws.
        seed: Seed of the assignment.

    Returns:
        Index of the draw of each sample, from 0.
    """

    def place(sample_id: str) -> bytes:
        return hashlib.sha256(f"{seed}/draw/{sample_id}".encode()).digest()

    ordered = sorted(sample_ids, key=place)
    return {sample_id: number % draws for number, sample_id in enumerate(ordered)}


class SanityWork:
    """Compares heatmaps of a network with those of partly randomised networks.

    A draw of random weights has an effect that all samples share. So there are several draws, each
    for its share of the samples.

    Cost: 2 explanations for each block, for any number of draws. Memory: the weights once, once
    more for every draw, and one structure for every network.

    Args:
        options: Options of the heatmaps.
        model: A frozen classifier.
        dataset: The images.
        seed: Seed of the random weights.
        draws: Number of draws of all random weights.
    """

    def __init__(
        self,
        options: HeatmapOptions,
        model: Classifier,
        dataset: Dataset,
        seed: int,
        draws: int = 1,
    ) -> None:
        self.options = options
        self.model = in_precision(model, options.decided_precision)
        self.device = next(model.parameters()).device
        self.images = LabelledImages(dataset, self.device)
        self.explainer = explainer_of(options, self.model)
        self.unaltered = 0
        self.draws = draw_of_samples(list(dataset.sample_ids), draws, seed)
        self.randomised = [tuple(self._randomised(dataset.size, seed, k)) for k in range(draws)]

    def _randomised(self, size: tuple[int, int], seed: int, draw: int) -> Iterator[Randomised]:
        """Randomise the network block by block, from the head to the input."""
        so_far: Weights = {}
        for number, block in enumerate(find_blocks(self.model.network, size), 1):
            own = draw_weights(self.model.network, block.modules, seed, draw=draw)
            so_far = {**so_far, **own}
            cascading, independent = (f"{number}-{block.name}/{mode}" for mode in MODES)
            if number == 1:
                yield self._with((cascading, independent), own)
            else:
                yield self._with((cascading,), so_far)
                yield self._with((independent,), own)

    def _with(self, conditions: tuple[str, ...], weights: Weights) -> Randomised:
        present = self.model.network.state_dict()
        differs = any(
            not torch.equal(tensor, present[f"{name}.{key}" if name else key])
            for name, tensors in weights.items()
            for key, tensor in tensors.items()
            if (f"{name}.{key}" if name else key) in present
        )
        other = with_weights(self.model, weights)
        return Randomised(conditions, explainer_of(self.options, other), differs)

    def load(self, rows: Indices) -> ImageBatch:
        """Read samples."""
        return self.images.load(rows)

    def compute(self, batch: ImageBatch) -> Arrays:
        """Return the agreement of each heatmap with those of the networks of its draw."""
        pixels, targets = to_pixels(batch.images, self.device), self.images.targets(batch)
        trained = self.explainer(pixels, targets)
        check_finite(trained.logits, batch.sample_ids)
        draws = np.array([self.draws[sample_id] for sample_id in batch.sample_ids], np.int64)
        arrays = {**batch.columns, "draw": draws}
        for draw in np.unique(draws):
            rows = np.flatnonzero(draws == draw)
            own = torch.from_numpy(rows).to(self.device)
            found = self._compared(
                int(draw), pixels[own], targets[own], trained.heatmaps[own], trained.logits[own]
            )
            for name, scores in found.items():
                arrays.setdefault(name, np.full(len(draws), np.nan, scores.dtype))[rows] = scores
        return arrays

    def _compared(
        self, draw: int, pixels: Tensor, targets: Tensor, trained: Tensor, logits: Tensor
    ) -> dict[str, Float64[np.ndarray, "n"]]:
        """Return the agreement of heatmaps with those of every randomised network of a draw.

        Undefined (NaN) where changed weights leave the logits unchanged: the prediction does not
        depend on that block.
        """
        arrays = {}
        own, classes = trained.cpu().numpy(), targets.cpu().numpy()
        for network in self.randomised[draw]:
            other = network.explainer(pixels, targets)
            maps = other.heatmaps.cpu().numpy()
            same = (other.logits == logits).all(1).cpu().numpy()
            self.unaltered += int(same.sum())
            for name in SIMILARITIES:
                found = heatmap_agreement(AGREEMENTS[name], own, maps, classes)
                for condition in network.conditions:
                    arrays[f"{condition}/{name}"] = np.where(same & network.differs, np.nan, found)
        return arrays

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count the samples with a constant heatmap, and the logits that stayed unchanged."""
        condition = self.randomised[0][0].conditions[0]
        found = arrays[f"{condition}/{SIMILARITIES[0]}"]
        unaltered, self.unaltered = self.unaltered, 0
        counts = {UNALTERED: unaltered} if unaltered else {}
        return {"undefined_heatmaps": int(np.isnan(found).sum()), **counts}
