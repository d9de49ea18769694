"""Predictions of a model for images, and for many changed versions of each image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ectool.faithfulness.substrates import Images, blurred, mean_colour
from ectool.models.classifier import Classifier
from ectool.models.memory import pass_size
from ectool.models.modes import frozen, graph_free

Draw = Callable[[Int[Tensor, "m"], Int[Tensor, "m"]], Float[Tensor, "m ch h w"]]
"""Makes changed images from the indices of the images and the indices of their versions."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for every version of every image.

    Attributes:
        probabilities: Softmax probability of each image's class, float32.
        correct: Whether that class is the most probable one.
    """

    probabilities: Float[Tensor, "n versions"]
    correct: Bool[Tensor, "n versions"]


@dataclass(frozen=True)
class Version:
    """One version of every image, and its predictions, of shape (n, 1)."""

    images: Images
    predictions: Predictions


@dataclass(frozen=True)
class Explained:
    """Images, the class of each that heatmaps explain, and the model.

    The versions with which curves start or end are predicted once, for all measures and heatmaps.

    Attributes:
        model: The classifier; every measure leaves it unchanged.
        images: RGB in [0, 1], on the model's device.
        targets: The class of each image; a multi-label image has one row for each of its classes.
    """

    model: Classifier
    images: Images
    targets: Int[Tensor, "n"]

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the images."""
        return self.images.shape[2], self.images.shape[3]

    @cached_property
    def clean(self) -> Version:
        """Return the unchanged images and their predictions."""
        return self.version(self.images)

    @cached_property
    def mean_coloured(self) -> Version:
        """Return images of the mean colour that the model subtracts, and their predictions."""
        return self.version(mean_colour(self.model, self.images))

    @cached_property
    def blurred(self) -> Version:
        """Return the blurred images with which insertion starts, and their predictions."""
        return self.version(blurred(self.model, self.images))

    def version(self, images: Images) -> Version:
        """Predict other images in place of these. Cost: one forward pass for each image."""
        return Version(images, self.predict(1, lambda rows, _: images[rows]))

    def predict(self, versions: int, draw: Draw) -> Predictions:
        """Predict versions of the images, in batches across images and versions.

        Args:
            versions: Number of versions of each image.
            draw: Makes the versions.

        Returns:
            The predictions, on the device of the images.

        Cost: ``n * versions`` forward passes, :func:`~ectool.models.memory.pass_size` at a time;
        only the last batch may have another shape. Memory: that of one batch.
        """
        pairs = torch.arange(len(self.images) * versions, device=self.images.device)
        found = self.predict_some(pairs // versions, pairs % versions, draw)
        shape = len(self.images), versions
        return Predictions(found.probabilities.view(shape), found.correct.view(shape))

    def predict_some(
        self, rows: Int[Tensor, "m"], versions: Int[Tensor, "m"], draw: Draw
    ) -> Predictions:
        """Predict some versions of some images, in batches.

        Args:
            rows: Indices of the images.
            versions: Index of a version for each.
            draw: Makes the versions.

        Returns:
            The predictions, of shape (m, 1), on the device of the images.

        Cost: m forward passes, as of :meth:`predict`.
        """
        images = self.images
        count, size = len(rows), pass_size(images)
        classes = self.targets.to(images.device, torch.int64)
        probabilities = torch.empty(count, 1, device=images.device)
        correct = torch.empty(count, 1, dtype=torch.bool, device=images.device)
        with graph_free(), frozen(self.model):
            for start in range(0, count, size):
                part = slice(start, start + size)
                drawn = draw(rows[part], versions[part])
                drawn = drawn.contiguous(memory_format=torch.channels_last)
                predicted = self.model(drawn).float().softmax(1)
                targets = classes[rows[part]][:, None]
                probabilities[part] = predicted.gather(1, targets)
                correct[part] = predicted.argmax(1, keepdim=True) == targets
        return Predictions(probabilities, correct)
