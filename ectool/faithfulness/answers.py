"""What a model answers to images, and to many changed versions of each."""

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
"""Makes changed images, given the numbers of the images and of the versions of them."""


@dataclass(frozen=True)
class Answers:
    """Answers to every version of every image.

    Attributes:
        probabilities: Softmax probability of each image's class, float32.
        correct: Whether that class is the most probable one.
    """

    probabilities: Float[Tensor, "n versions"]
    correct: Bool[Tensor, "n versions"]


@dataclass(frozen=True)
class Version:
    """One version of every image, and the answers to it, which are of shape (n, 1)."""

    images: Images
    answers: Answers


@dataclass(frozen=True)
class Explained:
    """The images that heatmaps explain, for which class, and to whom.

    What every curve begins or ends with is asked once, whatever is measured of however many maps.

    Attributes:
        model: The classifier; every measure leaves it as found.
        images: RGB in [0, 1], on the model's device.
        targets: The class of each image; of several labels each is a row of its own.
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
        """Return the images as they are."""
        return self.version(self.images)

    @cached_property
    def mean_coloured(self) -> Version:
        """Return images of nothing but the colour that the model subtracts."""
        return self.version(mean_colour(self.model, self.images))

    @cached_property
    def blurred(self) -> Version:
        """Return the images as insertion begins with them."""
        return self.version(blurred(self.model, self.images))

    def version(self, images: Images) -> Version:
        """Ask about other images in the place of these. Cost: a forward pass for each."""
        return Version(images, self.ask(1, lambda rows, _: images[rows]))

    def ask(self, versions: int, draw: Draw) -> Answers:
        """Ask about versions of the images, packed over images and versions alike.

        Args:
            versions: How many of each image.
            draw: Makes them.

        Returns:
            The answers, on the device of the images.

        Cost: ``n * versions`` forward passes, :func:`~ectool.models.memory.pass_size` at a time;
        only the last may have another shape. Memory: that of one such pass.
        """
        images = self.images
        count, size = len(images) * versions, pass_size(images)
        classes = self.targets.to(images.device, torch.int64)
        probabilities = torch.empty(count, device=images.device)
        correct = torch.empty(count, dtype=torch.bool, device=images.device)
        with graph_free(), frozen(self.model):
            for start in range(0, count, size):
                pairs = torch.arange(start, min(start + size, count), device=images.device)
                rows = pairs // versions
                drawn = draw(rows, pairs % versions).contiguous(memory_format=torch.channels_last)
                answers = self.model(drawn).float().softmax(1)
                asked = classes[rows]
                probabilities[pairs] = answers.gather(1, asked[:, None])[:, 0]
                correct[pairs] = answers.argmax(1) == asked
        shape = len(images), versions
        return Answers(probabilities.view(shape), correct.view(shape))
