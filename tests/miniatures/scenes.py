"""Small images with an object of a texture of its own, for miniatures of data sets."""

from __future__ import annotations

import colorsys

import numpy as np

SHAPES = ("disc", "box", "diamond", "ring")


def texture(generator: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return a dull background (h, w, 3): waves of a random direction, and noise."""
    y, x = np.mgrid[:height, :width]
    across, down, phase = generator.uniform(-0.8, 0.8, 3)
    waves = 25 * np.sin(across * x + down * y + 9 * phase)
    noise = generator.uniform(-15, 15, (height, width))
    grey = generator.uniform(90, 150, 3)
    return (grey + (waves + noise)[..., None]).clip(0, 255).astype(np.uint8)


def shape(label: int, width: int, height: int, at: tuple[float, float], radius: float):
    """Return the mask (h, w) of the shape of a class, with its middle at (x, y)."""
    y, x = np.mgrid[:height, :width]
    dx, dy = np.abs(x + 0.5 - at[0]), np.abs(y + 0.5 - at[1])
    distance = {
        "disc": np.hypot(dx, dy),
        "box": np.maximum(dx, dy) * 1.2,
        "diamond": (dx + dy) * 0.9,
        "ring": np.abs(np.hypot(dx, dy) - 0.65 * radius) * 2.8,
    }[SHAPES[label % len(SHAPES)]]
    return distance < radius


def paint(image: np.ndarray, mask: np.ndarray, label: int, classes: int) -> None:
    """Colour the object of a class into an image."""
    bright = colorsys.hsv_to_rgb(label / classes, 0.9, 1.0)
    image[mask] = np.array(bright) * 230 + 20 * (image[mask] / 255)
