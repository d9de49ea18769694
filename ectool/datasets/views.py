"""Square views of images, and the positions of objects in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from PIL import Image

from ectool.config import MAX_PIXELS

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, end-exclusive."""
ViewKind = Literal["crop", "squash"]

VERSION = 1
_MARGIN = 256 / 224
"""The shorter side before the crop, in units of the view's side, as is usual for ImageNet."""


@dataclass(frozen=True)
class Placement:
    """Position of an image in its view.

    Attributes:
        part: Part of the image that the view shows.
        resized: (width, height) of that part after resizing.
        corner: (left, top) of the view in the resized part.
        side: Side of the view in pixels.
    """

    part: Box
    resized: tuple[int, int]
    corner: tuple[int, int]
    side: int

    def image(
        self, image: Image.Image, resampling: Image.Resampling = Image.Resampling.BILINEAR
    ) -> UInt8[np.ndarray, "side side *c"]:
        """Return the view of an image; channels, if there are several, are last.

        Args:
            image: An image of the size of this placement.
            resampling: Bilinear for images, nearest for masks.
        """
        kept = image if self.part == (0, 0, *image.size) else cut(image, self.part)
        left, top = self.corner
        window = (left, top, left + self.side, top + self.side)
        return np.asarray(kept.resize(self.resized, resampling).crop(window))

    def points(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Return the positions of points (x, y) in the view; they may be outside of it."""
        left, top, right, bottom = self.part
        # Multiplied first: points on the edge of a pixel stay exactly on it.
        scaled = (points - (left, top)) * self.resized / (right - left, bottom - top)
        landed: Float[np.ndarray, "n 2"] = scaled - self.corner
        return landed

    def boxes(self, boxes: Float[np.ndarray, "n 4"]) -> Int64[np.ndarray, "m 4"]:
        """Return boxes (x0, y0, x1, y1) in the view, rounded outwards and clipped.

        Boxes outside of the view are left out.
        """
        low = np.floor(self.points(boxes[:, :2])).clip(0, self.side)
        high = np.ceil(self.points(boxes[:, 2:])).clip(0, self.side)
        landed = np.concatenate([low, high], axis=1).astype(np.int64)
        inside: Int64[np.ndarray, "m 4"] = landed[(low < high).all(axis=1)]
        return inside


@dataclass(frozen=True)
class View:
    """The deterministic view of images in all stages except training.

    Attributes:
        side: Side of the square in pixels.
        kind: ``crop`` resizes the shorter side to ``round(side * 256 / 224)`` and crops the
            centre, pixel for pixel as torchvision's ``Resize`` and ``CenterCrop`` on PIL images;
            ``squash`` resizes the whole image, which cuts off no object.
        max_pixels: Maximum number of pixels of an image, also after resizing.
    """

    side: int = 224
    kind: ViewKind = "crop"
    max_pixels: int = MAX_PIXELS

    def place(self, width: int, height: int) -> Placement:
        """Return the position in the view of an image of a size."""
        whole = (0, 0, width, height)
        if self.kind == "squash":
            return Placement(whole, (self.side, self.side), (0, 0), self.side)
        short = round(self.side * _MARGIN)
        if width <= height:
            resized = short, int(short * height / width)
        else:
            resized = int(short * width / height), short
        corner = round((resized[0] - self.side) / 2), round((resized[1] - self.side) / 2)
        return Placement(whole, resized, corner, self.side)

    def scaled(self, width: int, height: int) -> int:
        """Return the pixels of an image of a size after each of the two steps of its resizing."""
        across, down = self.place(width, height).resized
        return across * height + across * down

    def framed(self, width: int, height: int) -> int:
        """Return the pixels of the largest part of an image of a size, and of its resizing."""
        return (width + self.side) * height + self.side**2

    def frame(self, part: Box) -> Placement:
        """Return the placement of a part of an image that fills the view."""
        return Placement(part, (self.side, self.side), (0, 0), self.side)

    def facts(self) -> list[object]:
        """Return the facts of the view that enter the fingerprint of a data set.

        The limit of pixels is none: it changes no image.
        """
        return [VERSION, self.kind, self.side]


def cut(image: Image.Image, part: Box, largest: int = MAX_PIXELS // 2) -> Image.Image:
    """Return a part of an image.

    Args:
        image: In RGB or grey.
        part: Inside of the image.
        largest: Maximum number of pixels of a part that `Image.crop` returns without a warning.
    """
    width, height = part[2] - part[0], part[3] - part[1]
    if width * height <= largest:
        return image.crop(part)
    return image.transform((width, height), Image.Transform.EXTENT, part)


def boxes_of(masks: Bool[np.ndarray, "n h w"]) -> Int64[np.ndarray, "n 4"]:
    """Return the tightest box around the object of each mask.

    Args:
        masks: Object masks, True on the object.

    Returns:
        (x0, y0, x1, y1) in pixels, end-exclusive; four zeros for a mask without object.
    """
    x0, x1 = _extent(np.asarray(masks.any(axis=1)))
    y0, y1 = _extent(np.asarray(masks.any(axis=2)))
    return np.stack([x0, y0, x1, y1], axis=1)


def _extent(
    occupied: Bool[np.ndarray, "n length"],
) -> tuple[Int64[np.ndarray, "n"], Int64[np.ndarray, "n"]]:
    first = occupied.argmax(axis=1)
    last = occupied.shape[1] - occupied[:, ::-1].argmax(axis=1)
    return first, np.where(occupied.any(axis=1), last, 0)
