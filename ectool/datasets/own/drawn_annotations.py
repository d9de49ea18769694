"""Masks and boxes that users provide with their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from ectool.datasets.image_files import ImageAnnotations
from ectool.datasets.images import ImageSource, read_mask, read_size
from ectool.errors import InputError


@dataclass(frozen=True)
class DrawnAnnotations:
    """One mask and any number of boxes for every image, in pixels of the image as displayed.

    Attributes:
        folder: Folder that all paths are relative to.
        images: POSIX paths of the images.
        masks: POSIX path of the mask of each image, or None.
        boxes: Boxes (x0, y0, x1, y1) of each image, end-exclusive, or None.
    """

    folder: Path
    images: Sequence[str]
    masks: Sequence[str] | None = None
    boxes: Sequence[Float[np.ndarray, "k 4"]] | None = None

    @property
    def files(self) -> Sequence[str]:
        """Return the paths of the masks."""
        return self.masks or ()

    def facts(self) -> dict[str, object]:
        """Return the part of the fingerprint that is not in the contents of :attr:`files`."""
        facts: dict[str, object] = {}
        if self.masks is not None:
            facts["masks"] = list(self.masks)
        if self.boxes is not None:
            facts["boxes"] = [boxes.tolist() for boxes in self.boxes]
        return facts

    def read(self, index: int, target: int | None, max_pixels: int) -> ImageAnnotations:  # noqa: ARG002 (one class each)
        """Return an image's mask and boxes.

        Raises:
            InputError: The mask cannot be read or has another size than its image, or a box
                is outside of the image.
        """
        name = self.images[index]
        size = read_size(self.folder / name, max_pixels)
        mask = None
        if self.masks is not None:
            mask = mask_of(self.folder / self.masks[index], name, size, max_pixels)
        boxes = None if self.boxes is None else check_boxes(self.boxes[index], name, size)
        return ImageAnnotations(size=size, mask=mask, boxes=boxes)


def mask_of(source: ImageSource, image: str, size: tuple[int, int], max_pixels: int) -> Image.Image:
    """Read the mask of an image.

    Args:
        source: The mask.
        image: Name of its image, for the message.
        size: (width, height) of the image as displayed.
        max_pixels: Maximum number of pixels.

    Raises:
        InputError: The mask cannot be read, or has another size.
    """
    mask = read_mask(source, max_pixels)
    if mask.size != size:
        raise InputError(
            str(source),
            expected=f"{_pixels(size)}, as {image} is displayed",
            got=f"{mask.width} x {mask.height}",
            fix="make the mask from the image at its full size",
        )
    return mask


def check_boxes(
    boxes: Float[np.ndarray, "k 4"], image: str, size: tuple[int, int]
) -> Float[np.ndarray, "k 4"]:
    """Return the boxes of an image of a size (width, height).

    Raises:
        InputError: A box is outside of the image.
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    outside = ((low >= size) | (high <= 0)).any(axis=1)
    if outside.any():
        raise InputError(
            f"the box of {image}",
            expected=f"a part of its {_pixels(size)}",
            got=", ".join(f"{edge:g}" for edge in boxes[outside.argmax()]),
            fix="give pixels of the image as displayed",
        )
    return boxes


def _pixels(size: tuple[int, int]) -> str:
    width, height = size
    return f"{width} x {height} pixels"
