"""What `evaluate` asks a model about one batch: every variant, and every attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ectool.artifacts.schema import Arrays
from ectool.attacks.masks import full
from ectool.attacks.pgd import pgd
from ectool.attacks.random_start import random_start
from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.networks import check_finite
from ectool.stages.perturb_work import STEP_SHARE


@dataclass(frozen=True)
class Batch:
    """A few samples in every background variant."""

    sample_ids: list[str]
    labels: np.ndarray[Any, np.dtype[np.int64]]
    variants: dict[str, np.ndarray[Any, np.dtype[np.uint8]]]


class PredictWork:
    """Predicts batches; see `shards.Work`.

    Args:
        config: The stage's options.
        model: A frozen classifier.
        variants: The data set in each variant; `original` is attacked.
        conditions: Name of the condition of each radius in `config.eps`.
    """

    def __init__(
        self,
        config: EvaluateConfig,
        model: Classifier,
        variants: dict[str, Dataset],
        conditions: tuple[str, ...],
    ) -> None:
        self.config = config
        self.model = model
        self.variants = variants
        self.conditions = conditions
        self.original = variants["original"]
        self.device = next(model.parameters()).device

    def load(self, rows: Indices) -> Batch:
        """Read the samples in every variant."""
        return Batch(
            sample_ids=[self.original.sample_ids[row] for row in rows],
            labels=self.original.labels[rows],
            variants={name: dataset.images(rows) for name, dataset in self.variants.items()},
        )

    def compute(self, batch: Batch) -> Arrays:
        """Return the logits of every variant and after every attack."""
        arrays = {
            "sample_id": np.array(batch.sample_ids, dtype=np.dtypes.StringDType()),
            "label": batch.labels,
        }
        for name, images in batch.variants.items():
            with torch.no_grad():
                logits = self.model(to_pixels(images, self.device))
            check_finite(logits, batch.sample_ids)
            arrays[f"{name}/logits"] = logits.float().cpu().numpy()
        for name, eps in zip(self.conditions, self.config.eps, strict=True):
            arrays[f"{name}/logits"] = self._attacked(batch, eps)
        return arrays

    def _attacked(self, batch: Batch, eps: float) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the logits after PGD on the whole picture from a random start."""
        images = torch.from_numpy(batch.variants["original"]).to(
            self.device, memory_format=torch.channels_last
        )
        pixels = to_pixels(images)
        _, channels, height, width = images.shape
        noise = random_start(batch.sample_ids, self.config.seed, (channels, height, width), eps).to(
            self.device
        )
        attack = pgd(
            self.model,
            images,
            torch.from_numpy(batch.labels).to(self.device),
            background=full(pixels[:, 0]),
            eps=eps,
            alpha=STEP_SHARE * eps / self.config.steps,
            steps=self.config.steps,
            start=pixels + noise,
        )
        check_finite(attack.logits, batch.sample_ids)
        return attack.logits.cpu().numpy()

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Find nothing: the metrics say it all."""
        return {}
