"""Points of the learning curves of a training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from ectool.datasets.base import Dataset, Indices, is_multilabel
from ectool.metrics.multilabel import mean_average_precision
from ectool.models.classifier import Classifier, to_pixels
from ectool.models.transfer import to_device
from ectool.stages.train.feed import Feed
from ectool.training.loop import EpochResult, accuracy, predict

EVALUATION_BATCH = 256


def point_of(
    epoch: int,
    result: EpochResult,
    model: Classifier,
    validation: Mapping[str, Dataset],
    feed: Feed,
) -> dict[str, float]:
    """Return the point of an epoch on the learning curves, the same on every rank.

    Args:
        epoch: From 0.
        result: Loss and accuracy of the epoch.
        model: The model; remains in evaluation mode.
        validation: Validation images by variant; each rank predicts its part of them.
        feed: The device, and the ranks.
    """
    record = {"epoch": epoch + 1, "loss": result.loss, "accuracy": result.accuracy}
    for variant, dataset in validation.items():
        rows, part = feed.ranks.part_of(np.arange(len(dataset.sample_ids)))
        batches = _batches(dataset, rows, feed.device)
        if is_multilabel(dataset.labels):
            found = [torch.from_numpy(own).to(feed.device) for own in predict(model, batches)]
            score = mean_average_precision(*(part.whole(own).cpu().numpy() for own in found))
            record[f"validation_map_{variant}"] = score
        else:
            record[f"validation_{variant}"] = accuracy(model, batches, part)
    return record


def _batches(
    dataset: Dataset, rows: Indices, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    for first in range(0, len(rows), EVALUATION_BATCH):
        chosen = rows[first : first + EVALUATION_BATCH]
        labels = to_device(np.asarray(dataset.labels)[chosen], device)
        yield to_pixels(dataset.images(chosen), device), labels
