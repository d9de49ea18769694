"""A miniature of STL-10 as published.

What of the format it shows:

- ``X_X.bin``: uint8, image after image, three channels of 96 columns of 96 rows;
- ``X_y.bin``: one uint8 per image, counted from 1; none for ``unlabeled``;
- ``class_names.txt``: ten lines;
- ``fold_indices.txt``: ten lines of positions in the training file, counted from 0, each followed
  by a space; folds overlap.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from miniatures.shapes import draw

NAMES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SIDE = 96


def write_stl10(
    folder: Path, per_class: int = 23, test_per_class: int = 3, unlabeled: int = 12
) -> None:
    """Write the miniature.

    Args:
        folder: The folder ``stl10_binary``.
        per_class: Training images of each class.
        test_per_class: Test images of each class.
        unlabeled: Images without a label.
    """
    folder.mkdir(parents=True)
    generator = np.random.default_rng(10)
    for source, count in {"train": per_class, "test": test_per_class}.items():
        labels = 7 * np.arange(10 * count) % 10
        _write_images(folder / f"{source}_X.bin", generator, labels)
        (labels + 1).astype(np.uint8).tofile(folder / f"{source}_y.bin")
    _write_images(folder / "unlabeled_X.bin", generator, np.arange(unlabeled) % 10)
    (folder / "class_names.txt").write_text("\n".join(NAMES) + "\n")
    folds = [generator.permutation(10 * per_class)[: 2 * per_class] for _ in range(10)]
    lines = [" ".join(map(str, sorted(fold))) + " \n" for fold in folds]
    (folder / "fold_indices.txt").write_text("".join(lines))


def _write_images(path: Path, generator: np.random.Generator, labels: np.ndarray) -> None:
    with path.open("wb") as file:
        for label in labels:
            pixels = draw(generator, int(label), 10, SIDE, SIDE).pixels
            file.write(pixels.transpose(2, 1, 0).tobytes())
