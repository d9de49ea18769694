"""A batch of `perturb`: its inputs, what the attack takes, and the results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ectool.explainers import Explanation
from ectool.models.transfer import Columns
from ectool.stages.common.batches import AttackBatch, ImageBatch, Images


@dataclass(frozen=True)
class PerturbBatch(ImageBatch):
    """Some samples with the inputs of the attack.

    Attributes:
        objects: Object masks, for rules that use them.
        start: Perturbed images of an earlier round.
        others: Another sample for each sample, for attacks that start from it.
    """

    objects: np.ndarray[Any, np.dtype[np.bool_]] | None
    start: Images | None = None
    others: PerturbBatch | None = None


@dataclass(frozen=True)
class Prepared:
    """A batch before the attack.

    Attributes:
        batch: What the attack takes.
        images: The clean uint8 images, on the device.
        targets: The true classes (n,); multi-label (n, k), padded with -1.
        background: Pixels that may change.
        clean: Heatmaps of the clean images for these classes, if they were computed.
    """

    batch: AttackBatch
    images: Tensor
    targets: Tensor
    background: Tensor
    clean: Explanation | None


@dataclass(frozen=True)
class Attacked:
    """A batch after the attack.

    Attributes:
        columns: Rows of the samples artifact.
        images: The perturbed uint8 images, on the device.
        targets: The true classes (n,); multi-label (n, k), padded with -1.
        clean: Heatmaps of the clean images for these classes, if they were computed.
    """

    columns: Columns
    images: Tensor
    targets: Tensor
    clean: Explanation | None
