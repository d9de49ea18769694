"""What `evaluate` asks a model about one batch: every variant, and every attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.attacks.ball import Ball, LinfBall
from ectool.attacks.losses import find_loss
from ectool.attacks.masks import full
from ectool.attacks.objectives import LabelLoss
from ectool.attacks.pgd import Settings, pgd
from ectool.attacks.random_start import start_streams
from ectool.attacks.until_fooled import until_fooled
from ectool.config import EvaluateConfig
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.attacking import STEP_SHARE
from ectool.stages.networks import check_finite


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
        """Return the logits after PGD on the whole picture from random starts.

        Those of the first start that changed the answer to a wrong one, else of the last.
        """
        pixels = to_pixels(batch.variants["original"], self.device)
        labels = torch.from_numpy(batch.labels).to(self.device)
        several = labels.ndim > 1
        loss = find_loss("auto", len(self.model.class_names), several=several)
        steps, seed = self.config.steps, self.config.seed

        def start(ball: Ball, rows: Tensor, restart: int) -> Tensor:
            ids = [batch.sample_ids[row] for row in rows.tolist()]
            return ball.random_point(start_streams(ids, seed, restart))

        def is_wrong(logits: Tensor, rows: Tensor) -> Tensor:
            if several:
                return (((logits > 0) != (labels[rows] > 0)) & (labels[rows] >= 0)).any(1)
            return logits.argmax(1) != labels[rows]

        attack = until_fooled(
            pgd,
            LinfBall.around(pixels, full(pixels[:, 0]), eps),
            LabelLoss(self.model, loss, labels),
            start,
            Settings(steps=steps, alpha=STEP_SHARE * eps / steps),
            judge=self.model,
            fooled=is_wrong,
            restarts=self.config.restarts,
        )
        check_finite(attack.logits, batch.sample_ids)
        return attack.logits.cpu().numpy()

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Find nothing: the metrics say it all."""
        return {}
