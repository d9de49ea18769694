"""Miniatures of images that a CSV file lists.

What of the format they show: a BOM and CRLF as spreadsheets write them, quoted names with commas,
spaces and letters beyond ASCII, columns in any order, an extra column, a folder above the file's.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from miniatures.shapes import Drawing, draw

CLASSES = ("ant, red", "bee", "Käfer")
SPLITS = {"train": "train", "val": "validation", "test": "test"}
SIZE = 48, 40


def write_csv(folder: Path, per_class: int = 6) -> Path:
    """Write a single-label data set with splits, masks and boxes.

    Args:
        folder: Gets `lists/insects.csv` and the images and masks in folders beside `lists`.
        per_class: Images of each class and split.

    Returns:
        The CSV file.
    """
    generator = np.random.default_rng(11)
    rows = []
    for split in SPLITS:
        for number in range(3 * per_class):
            label = number % 3
            drawing = draw(generator, label, 3, *SIZE)
            name = f"{split} {number:02d}"
            _save(drawing, folder / "my images" / f"{name}.png", folder / "masks" / f"{name}.png")
            x0, y0, x1, y1 = drawing.box
            paths = f"../my images/{name}.png", f"../masks/{name}.png"
            rows.append([split, CLASSES[label], x0, y0, x1, y1, "somebody", *paths])
    header = ["split", "Label", "x0", "y0", "x1", "y1", "photographer", "path", "mask"]
    return write_rows(folder / "lists" / "insects.csv", header, rows)


def write_multilabel_csv(folder: Path, count: int = 30) -> Path:
    """Write a multi-label data set: two shapes side by side, sometimes the same, sometimes none.

    Args:
        folder: Gets `shapes.csv` and the images.
        count: Number of images; their splits are drawn.

    Returns:
        The CSV file.
    """
    generator = np.random.default_rng(12)
    rows = []
    for number in range(count):
        labels = generator.integers(0, 3, 2)
        halves = [draw(generator, int(label), 3, *SIZE) for label in labels]
        pixels = np.concatenate([half.pixels for half in halves], axis=1)
        empty = number % 10 == 9
        path = folder / f"{number:02d}.png"
        _save(Drawing(pixels[:, :9] if empty else pixels, halves[0].mask), path, None)
        rows.append([path.name, "" if empty else ";".join(CLASSES[label] for label in labels)])
    return write_rows(folder / "shapes.csv", ["path", "labels"], rows)


def write_rows(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    """Write a CSV file as spreadsheets do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows([header, *rows])
    return path


def _save(drawing: Drawing, path: Path, mask: Path | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.image.save(path)
    if mask is not None:
        mask.parent.mkdir(parents=True, exist_ok=True)
        drawing.object_mask.save(mask)
