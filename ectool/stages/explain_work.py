"""What `explain` does to one batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.schema import Arrays
from ectool.config import ExplainConfig
from ectool.datasets.base import Dataset, Indices, Labels, is_multilabel
from ectool.datasets.labels import check_labelled, most_positives, positives
from ectool.explainers.cut import run_forward
from ectool.explainers.upsampling import average_cells, upsample
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.precision import in_precision
from ectool.stages.explaining import explainer_of, find_method
from ectool.stages.inputs import check_images, positions
from ectool.stages.networks import check_finite

Images = np.ndarray[Any, np.dtype[np.uint8]]
HALF_MAX = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Batch:
    """What the explainer needs of a few samples."""

    sample_ids: list[str]
    labels: Labels
    clean: Images
    adversarial: Images | None


class ExplainWork:
    """Explains batches; see `shards.Work`.

    Args:
        config: The stage's options.
        model: A frozen classifier.
        dataset: The clean pictures.
        samples: The perturbed pictures, for pairs.
    """

    def __init__(
        self, config: ExplainConfig, model: Classifier, dataset: Dataset, samples: Artifact | None
    ) -> None:
        self.config = config
        self.model = in_precision(model, config.precision)
        self.dataset = dataset
        self.samples = samples
        self.explainer = explainer_of(config, self.model)
        self.is_half = find_method(config.method).grid == "layer"
        self.device = next(model.parameters()).device
        self.ids = list(dataset.sample_ids) if samples is None else samples.sample_ids
        if samples is not None:
            check_images(samples, dataset, f"--samples {samples.path}")
        fix = "give the --data and --split that the samples were made of"
        where = f"{dataset.name} for {config.samples}"
        if config.targets == "label":
            check_labelled(dataset, "explain predictions (--targets prediction)")
        many = is_multilabel(dataset.labels)
        self.width = most_positives(dataset.labels) if many else None
        self.layer_size: tuple[int, int] | None = None
        self.data_rows = positions(self.ids, list(dataset.sample_ids), where, fix)

    def load(self, rows: Indices) -> Batch:
        """Read clean pictures by sample id, and the perturbed ones beside them."""
        there = self.data_rows[rows]
        return Batch(
            sample_ids=[self.ids[row] for row in rows],
            labels=self.dataset.labels[there],
            clean=self.dataset.images(there),
            adversarial=self._adversarial(rows),
        )

    def _adversarial(self, rows: Indices) -> Images | None:
        if self.samples is None:
            return None
        images: Images = self.samples.read("image", int(rows[0]), int(rows[-1]) + 1)
        return images

    def compute(self, batch: Batch) -> Arrays:
        """Explain the clean pictures, and the perturbed ones for the same classes."""
        targets = self._targets(batch.labels)
        maps, logits = self._explain(batch.clean, targets, batch.sample_ids)
        if targets is None:
            targets = logits.argmax(dim=1)
            if self.width is not None:  # the surest label of several; a row each, like true ones
                targets, maps = targets[:, None], maps[:, None]
        arrays = {
            "sample_id": np.array(batch.sample_ids, dtype=np.dtypes.StringDType()),
            "label": batch.labels,
            "target": targets.cpu().numpy(),
            "clean": maps,
            "logits_clean": logits.cpu().numpy(),
        }
        if batch.adversarial is not None:
            maps, logits = self._explain(batch.adversarial, targets, batch.sample_ids)
            arrays |= {"adversarial": maps, "logits_adversarial": logits.cpu().numpy()}
        return arrays

    def _targets(self, labels: Labels) -> Tensor | None:
        """Return the true classes: one each, or of multi-label data a row each; None for others."""
        if self.config.targets != "label":
            return None
        rows = labels if self.width is None else positives(labels, self.width)
        return torch.from_numpy(rows).to(self.device)

    def _explain(
        self, images: Images, targets: Tensor | None, sample_ids: list[str]
    ) -> tuple[np.ndarray[Any, np.dtype[np.floating[Any]]], Tensor]:
        """Return maps as they are stored, and float32 logits.

        Maps of a layer are float16, saturated at its largest number. Others are spread over many
        pixels, each too little for float16.
        """
        pixels = to_pixels(images, self.device)
        explanation = self.explainer(pixels, targets)
        check_finite(explanation.logits, sample_ids)
        maps = self._resized(explanation.heatmaps, pixels)
        if self.is_half:
            maps = maps.clamp(max=HALF_MAX).half()
        return maps.cpu().numpy(), explanation.logits.float()

    def _resized(self, maps: Tensor, pixels: Tensor) -> Tensor:
        """Bring maps to the resolution that was asked for."""
        if self.config.store_size == "pixels":
            return upsample(maps, (pixels.shape[2], pixels.shape[3]))
        if self.config.store_size is None or self.is_half:
            return maps
        if self.layer_size is None:
            activations, _ = run_forward(self.model, pixels[:1])
            self.layer_size = activations.shape[2], activations.shape[3]
        return average_cells(maps, self.layer_size)

    def findings(self, arrays: Arrays) -> dict[str, int]:
        """Count maps that are zero everywhere or too large for float16."""
        found = {}
        for name in ("clean", "adversarial"):
            if name in arrays:
                highest = arrays[name].max(axis=(-2, -1))[arrays["target"] >= 0]
                found[f"zero_maps_{name}"] = int((highest == 0).sum())
                saturated = self.is_half & (highest == HALF_MAX)
                found[f"saturated_maps_{name}"] = int(saturated.sum())
        return found
