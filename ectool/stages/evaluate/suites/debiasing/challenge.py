"""Adversarial backgrounds challenge for one batch: every object on every background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ectool.artifacts.schema import Arrays
from ectool.datasets.base import Dataset, Indices
from ectool.models.classifier import Classifier, to_pixels
from ectool.stages.common.batches import ImageBatch, LabelledImages


@dataclass(frozen=True)
class ObjectBatch(ImageBatch):
    """Some images and the masks of their objects."""

    masks: np.ndarray[Any, np.dtype[np.bool_]]


class ChallengeWork:
    """Finds objects that are classified correctly on every background; see `shards.Work`.

    As in ``challenge_eval.py`` of the Backgrounds Challenge (Xiao et al., ICLR 2021) an object is
    pasted on all backgrounds, including those of its class and its own one. It is robust where all
    predictions are correct. An object that is misclassified on one background is not robust, so it
    is not pasted on the others.

    Args:
        model: A frozen classifier.
        objects: Images with object masks.
        backgrounds: Images of backgrounds, of the same size.
        block: Images per forward pass.
    """

    def __init__(
        self, model: Classifier, objects: Dataset, backgrounds: Dataset, block: int
    ) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.images = LabelledImages(objects, self.device)
        self.backgrounds = backgrounds
        self.block = block

    def load(self, rows: Indices) -> ObjectBatch:
        """Read objects and their masks."""
        batch, masks = self.images.load(rows), self.images.dataset.annotations(rows).masks
        if masks is None:
            raise ValueError("objects are pasted by their masks, but the data set has none")
        return ObjectBatch(batch.sample_ids, batch.labels, batch.images, masks)

    def compute(self, batch: ObjectBatch) -> Arrays:
        """Return which objects are classified correctly on every background.

        Backgrounds are read once per batch, in blocks. A block is used for the objects that are
        classified correctly on all backgrounds of the blocks before.
        """
        robust = np.ones(len(batch.labels), np.bool_)
        images = to_pixels(batch.images, self.device)
        masks = torch.from_numpy(batch.masks).to(self.device)
        for start in range(0, len(self.backgrounds.sample_ids), self.block):
            stop = min(start + self.block, len(self.backgrounds.sample_ids))
            block = to_pixels(self.backgrounds.images(np.arange(start, stop)), self.device)
            for row in np.flatnonzero(robust):
                predicted = self._predict(images[row], masks[row], block)
                robust[row] = bool((predicted == int(batch.labels[row])).all())
        return {**batch.columns, "robust": robust}

    def _predict(self, image: Tensor, mask: Tensor, backgrounds: Tensor) -> Tensor:
        """Return the predicted classes of an object on backgrounds."""
        with torch.no_grad():
            predicted: Tensor = self.model(torch.where(mask, image, backgrounds)).argmax(dim=1)
        return predicted

    def findings(self, arrays: Arrays) -> dict[str, int]:  # noqa: ARG002 (protocol)
        """Return no findings."""
        return {}
