"""Small images that look like something: a coloured shape on a striped, noisy background."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
from PIL import Image

POWERS = (2.0, 8.0, 1.0, 0.6)
"""|x|^p + |y|^p < 1 is a disc, a box with round corners, a lozenge, a star."""


@dataclass(frozen=True)
class Drawing:
    """An object on its background.

    Attributes:
        pixels: (h, w, 3).
        mask: (h, w), True on the object.
    """

    pixels: np.ndarray
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Return the tight box (x0, y0, x1, y1), end-exclusive."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @property
    def image(self) -> Image.Image:
        """Return the image."""
        return Image.fromarray(self.pixels)

    @property
    def object_mask(self) -> Image.Image:
        """Return the mask as an image, 255 on the object."""
        return Image.fromarray(self.mask.astype(np.uint8) * 255)


def draw(
    generator: np.random.Generator, label: int, n_classes: int, width: int, height: int
) -> Drawing:
    """Draw an object whose colour and shape go with its class, somewhere near the centre."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    radius = generator.uniform(0.22, 0.32) * min(width, height)
    dx = np.abs(x + 0.5 - width * generator.uniform(0.4, 0.6)) / radius
    dy = np.abs(y + 0.5 - height * generator.uniform(0.4, 0.6)) / radius
    power = POWERS[label % len(POWERS)]
    mask = dx**power + dy**power < 1
    turn, phase = generator.uniform(0, 2 * np.pi, 2)
    waves = 0.35 + 0.1 * np.sin(0.6 * (x * np.cos(turn) + y * np.sin(turn)) + phase)
    background = waves[..., None] + generator.normal(0, 0.05, (height, width, 3))
    colour = np.array(colorsys.hsv_to_rgb(label / n_classes, 0.85, 0.95))
    pixels = np.where(mask[..., None], colour * generator.uniform(0.85, 1), background)
    return Drawing((255 * pixels.clip(0, 1)).astype(np.uint8), mask)
