"""A miniature of CUB-200-2011 as its two archives unpack.

What of the format it shows:

- ``CUB_200_2011/images/001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg``: class
  folders numbered from 1, file names with their own capitals; some images are grey, and one
  has a stray ``_rgb`` twin that no list has.
- images.txt, classes.txt, image_class_labels.txt, train_test_split.txt (1 for training),
  bounding_boxes.txt (x y width height, one decimal), each line after the number of the image
  or class, from 1; names within a class are in no order.
- parts/parts.txt, where names have several words, and parts/part_locs.txt: image, part, x, y,
  visible; 0.0 0.0 0 for a part that is not seen.
- ``segmentations`` beside it, of an archive of its own: grey levels are votes of five annotators,
  most files in mode L and some in LA.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from miniatures.scenes import paint, shape, texture

CLASSES = ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross", "Groove_billed_Ani")
PARTS = (
    *("back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg"),
    *("left wing", "nape", "right eye", "right leg", "right wing", "tail", "throat"),
)
VOTERS = 5


@dataclass(frozen=True)
class Bird:
    name: str
    label: int
    is_training: bool
    box: tuple[float, float, float, float]
    parts: list[tuple[float, float, int]]


def write_cub200(folder: Path, per_class: int = 20) -> Path:
    """Write the miniature, both archives.

    Args:
        folder: Where the archives would be unpacked.
        per_class: Images of each class for training and for testing each.

    Returns:
        The folder CUB_200_2011.
    """
    base = folder / "CUB_200_2011"
    (base / "parts").mkdir(parents=True)
    for label in range(len(CLASSES)):
        (base / "images" / _class_folder(label)).mkdir(parents=True)
        (folder / "segmentations" / _class_folder(label)).mkdir(parents=True)
    generator = np.random.default_rng(2011)
    birds = [
        _write_bird(folder, generator, label, number)
        for label in range(len(CLASSES))
        for number in generator.permutation(2 * per_class).tolist()
    ]
    _write_tables(base, birds)
    return base


def _class_folder(label: int) -> str:
    return f"{label + 1:03d}.{CLASSES[label]}"


def _write_bird(folder: Path, generator: np.random.Generator, label: int, number: int) -> Bird:
    """Write an image and its segmentation; odd numbers are for training, every ninth is grey."""
    width, height = generator.permutation([60, 45]).tolist()
    at = generator.uniform(0.4, 0.6, 2) * (width, height)
    radius = min(width, height) * generator.uniform(0.25, 0.4)
    mask = shape(label, width, height, tuple(at), radius)
    pixels = texture(generator, width, height)
    paint(pixels, mask, label, len(CLASSES))
    name = f"{_class_folder(label)}/{CLASSES[label].title()}_{number + 1:04d}_{7960 + 31 * number}"
    image = Image.fromarray(pixels)
    if number == 8:
        image.save(folder / "CUB_200_2011" / "images" / f"{name}_rgb.jpg")
    if number % 9 == 8:
        image = image.convert("L")
    image.save(folder / "CUB_200_2011" / "images" / f"{name}.jpg", quality=95)
    votes = _votes(generator, mask)
    if number % 7 == 6:
        votes = votes.convert("LA")
    votes.save(folder / "segmentations" / f"{name}.png")
    return Bird(f"{name}.jpg", label, number % 2 == 1, _box(mask), _parts(generator, mask))


def _votes(generator: np.random.Generator, mask: np.ndarray) -> Image.Image:
    """Return 51 for each of five annotators whose hands slip by a pixel or two."""
    slips = generator.integers(-2, 3, (VOTERS, 2)).tolist()
    votes = sum(np.roll(mask, slip, (0, 1)).astype(np.uint8) for slip in slips)
    return Image.fromarray(votes * np.uint8(255 // VOTERS))


def _box(mask: np.ndarray) -> tuple[float, float, float, float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] - columns[0], rows[-1] - rows[0]


def _parts(generator: np.random.Generator, mask: np.ndarray) -> list[tuple[float, float, int]]:
    """Return a pixel of the object for each part, or that it is not seen."""
    rows, columns = np.nonzero(mask)
    picks = generator.integers(len(rows), size=len(PARTS))
    seen = generator.random(len(PARTS)) < 0.7
    return [(columns[i], rows[i], 1) if s else (0, 0, 0) for i, s in zip(picks, seen, strict=True)]


def _write_tables(base: Path, birds: list[Bird]) -> None:
    def write(name: str, lines: list[str]) -> None:
        (base / name).write_text("".join(f"{line}\n" for line in lines))

    numbered = list(enumerate(birds, 1))
    write("classes.txt", [f"{i + 1} {_class_folder(i)}" for i in range(len(CLASSES))])
    write("images.txt", [f"{i} {bird.name}" for i, bird in numbered])
    write("image_class_labels.txt", [f"{i} {bird.label + 1}" for i, bird in numbered])
    write("train_test_split.txt", [f"{i} {int(bird.is_training)}" for i, bird in numbered])
    write("bounding_boxes.txt", [f"{i} {_decimals(bird.box)}" for i, bird in numbered])
    write("parts/parts.txt", [f"{number} {name}" for number, name in enumerate(PARTS, 1)])
    lines = [
        f"{i} {number} {_decimals(part[:2])} {part[2]}"
        for i, bird in numbered
        for number, part in enumerate(bird.parts, 1)
    ]
    write("parts/part_locs.txt", lines)


def _decimals(numbers: tuple[float, ...]) -> str:
    return " ".join(f"{number:.1f}" for number in numbers)
