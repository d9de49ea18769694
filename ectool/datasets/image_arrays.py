"""Data sets whose images are arrays of one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ectool.datasets.base import Annotations, Framing, Groups, Indices, Labels
from ectool.datasets.views import View

Reader = Callable[[Indices], np.ndarray]


def no_annotations(_indices: Indices, _targets: Indices | None) -> Annotations:
    """Return no annotations."""
    return Annotations()


@dataclass(frozen=True, eq=False)
class ImageArrays:
    """One split of a data set whose images are square arrays of one size.

    Attributes:
        name: Short name for people, e.g. ``stl10/test``.
        sample_ids: Unique identifier of every image.
        labels: True classes; see :class:`ectool.datasets.base.Dataset`.
        classes: Names of the classes.
        size: (height, width) in pixels.
        read: Returns images (b, 3, h, w), 0 to 255, by index.
        digest: Returns the fingerprint; called at most once.
        read_annotations: Returns the annotations of the objects.
        groups: Groups of the samples, or None.
    """

    name: str
    sample_ids: Sequence[str]
    labels: Labels
    classes: tuple[str, ...]
    size: tuple[int, int]
    read: Reader
    digest: Callable[[], str]
    read_annotations: Callable[[Indices, Indices | None], Annotations] = no_annotations
    groups: Groups | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over everything that determines the data set."""
        return self.digest()

    def images(
        self, indices: Indices, framing: Framing | None = None
    ) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return images, or the parts of them that `framing` returns, resized to the same size."""
        images = self.read(indices)
        return images if framing is None else framed(images, indices, framing)

    def annotations(self, indices: Indices, targets: Indices | None = None) -> Annotations:
        """Return annotations of all objects, or of those of one target class for each image."""
        return self.read_annotations(indices, targets)


def framed(
    images: UInt8[np.ndarray, "b 3 h w"], indices: Indices, framing: Framing
) -> UInt8[np.ndarray, "b 3 h w"]:
    """Return a part of each image, resized to the size of the whole.

    Args:
        images: Square images.
        indices: Their indices, for `framing`.
        framing: Returns the part of each image.
    """
    _, _, height, width = images.shape
    shown = np.empty_like(images)
    for row, index in enumerate(indices):
        placement = View(height).frame(framing(int(index), width, height))
        image = Image.fromarray(np.ascontiguousarray(images[row].transpose(1, 2, 0)))
        shown[row] = placement.image(image).transpose(2, 0, 1)
    return shown
