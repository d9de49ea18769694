"""A miniature of ImageNet-9 as published: the Backgrounds Challenge and the training data.

What of the format it shows:

- ``bg_challenge/VARIANT/val/CLASS/NAME.JPEG`` for the eight variants, all images of one size;
  class folders are numbered, and two of their names hold a space.
- NAME is WordNet id and five digits (``n02085620_00012``); in mixed variants
  ``fg_FOREGROUND_bg_BACKGROUND``, where ``mixed_rand`` repeats the names of ``mixed_next``,
  whatever its backgrounds are.
- ``bg_challenge/fg_mask/val/CLASS/NAME.npy``, two-dimensional, named as the images of
  ``original``.
- ``in9l/train`` and ``in9l/val`` with the same class folders: images of many sizes with
  ImageNet's own, unpadded numbers; one of them is grey.
- ``mixed_rand/train`` and ``mixed_rand/val``, the training archive of that variant.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SYNSETS = {
    "00_dog": "n02085620",
    "01_bird": "n01514668",
    "02_wheeled vehicle": "n02701002",
    "03_reptile": "n01664065",
    "04_carnivore": "n02114367",
    "05_insect": "n02165105",
    "06_musical instrument": "n02787622",
    "07_primate": "n02480495",
    "08_fish": "n01440764",
}
N_CLASSES = len(SYNSETS)
BACKGROUND_OF = {"mixed_same": 0, "mixed_rand": 4, "mixed_next": 1}
"""By how much the class of the background differs from that of the object."""


@dataclass(frozen=True)
class Scene:
    """A coloured shape on a texture; both go with the class.

    Attributes:
        background: (h, w, 3), without the object.
        image: The same with the object.
        mask: True on the object.
    """

    background: np.ndarray
    image: np.ndarray
    mask: np.ndarray

    @property
    def box(self) -> tuple[slice, slice]:
        """Return the rows and columns of the object."""
        rows, columns = np.flatnonzero(self.mask.any(1)), np.flatnonzero(self.mask.any(0))
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)

    def on(self, background: np.ndarray) -> np.ndarray:
        """Return the object on another background of the same size."""
        return np.where(self.mask[..., None], self.image, background)

    def without_box(self, *, tiled: bool) -> np.ndarray:
        """Return the image with the box of its object black, or filled with its surroundings."""
        image, (rows, columns) = self.image.copy(), self.box
        image[rows, columns] = self.background[rows, columns] if tiled else 0
        return image


def write_imagenet9(
    folder: Path, per_class: int = 3, train_per_class: int = 10, side: int = 48
) -> None:
    """Write the miniature.

    Args:
        folder: The data set's folder, ``imagenet9`` below ``ECTOOL_DATA``.
        per_class: Test images of each class and variant; as many validation images.
        train_per_class: Training images of each class.
        side: Side of the test images.
    """
    generator = np.random.default_rng(9)
    _write_challenge(folder / "bg_challenge", generator, per_class, side)
    for part, count in (("train", train_per_class), ("val", per_class)):
        first = 1 if part == "train" else 9000
        for label, (name, synset) in enumerate(SYNSETS.items()):
            for number in range(first, first + count):
                height, width = generator.integers(40, 72, 2)
                scene = _scene(generator, label, height, width)
                image = Image.fromarray(scene.image)
                if (label, number) == (0, 2):
                    image = image.convert("L")
                _save(folder / "in9l" / part / name / f"{synset}_{number}.JPEG", image)
                other = _scene(generator, (label + 4) % N_CLASSES, height, width).background
                _save(
                    folder
                    / "mixed_rand"
                    / part
                    / name
                    / f"fg_{synset}_{number}_bg_{synset}_1.JPEG",
                    Image.fromarray(scene.on(other)),
                )


def _write_challenge(
    folder: Path, generator: np.random.Generator, per_class: int, side: int
) -> None:
    scenes = [
        [_scene(generator, label, side, side) for _ in range(per_class)]
        for label in range(N_CLASSES)
    ]
    for label, (name, synset) in enumerate(SYNSETS.items()):
        for number, scene in enumerate(scenes[label]):
            stem = f"{synset}_{137 * number + label + 12:05d}"
            mask = folder / "fg_mask" / "val" / name / f"{stem}.npy"
            mask.parent.mkdir(parents=True, exist_ok=True)
            np.save(mask, scene.mask)
            beside = list(SYNSETS.values())[(label + 1) % N_CLASSES]
            mixed = f"fg_{stem}_bg_{beside}_{137 * number + label + 13:05d}"
            for variant, image in _variants(scenes, label, number).items():
                file = f"{mixed if variant.startswith('mixed') else stem}.JPEG"
                _save(folder / variant / "val" / name / file, Image.fromarray(image))


def _variants(scenes: list[list[Scene]], label: int, number: int) -> dict[str, np.ndarray]:
    scene = scenes[label][number]
    mixed = {
        variant: scene.on(scenes[(label + step) % N_CLASSES][number - 1].without_box(tiled=True))
        for variant, step in BACKGROUND_OF.items()
    }
    return {
        "original": scene.image,
        **mixed,
        "only_fg": scene.on(np.zeros_like(scene.image)),
        "only_bg_b": scene.without_box(tiled=False),
        "only_bg_t": scene.without_box(tiled=True),
        "no_fg": np.where(scene.mask[..., None], np.uint8(0), scene.image),
    }


def _scene(generator: np.random.Generator, label: int, height: int, width: int) -> Scene:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    turn, phase = np.pi * label / N_CLASSES, generator.uniform(0, 2 * np.pi)
    waves = np.sin((x * np.cos(turn) + y * np.sin(turn)) * (0.5 + 0.08 * label) + phase)
    dark = np.array(colorsys.hsv_to_rgb(((2 * label + 4) % N_CLASSES) / N_CLASSES, 0.6, 0.45))
    texture = dark * (1.2 + 0.4 * waves[..., None]) + generator.normal(0, 0.02, (height, width, 3))
    background = (255 * texture.clip(0, 1)).astype(np.uint8)
    mask = _shape(generator, label, height, width)
    light = np.array(colorsys.hsv_to_rgb(label / N_CLASSES, 0.9, 0.95))
    shade = light * (0.8 + 0.2 * (y / height)[..., None])
    image = np.where(mask[..., None], (255 * shade).astype(np.uint8), background)
    return Scene(background, image, mask)


def _shape(generator: np.random.Generator, label: int, height: int, width: int) -> np.ndarray:
    """Return a disc, a box or a lozenge somewhere near the centre."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    radius = generator.uniform(0.2, 0.28) * min(height, width)
    dy = abs(y - height * generator.uniform(0.4, 0.6)) / radius
    dx = abs(x - width * generator.uniform(0.4, 0.6)) / radius
    power = (2.0, 8.0, 1.0)[label % 3]
    return dx**power + dy**power < 1


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=95)
