"""Labels of samples: their classes, the explained classes, and checks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8, Int64

from ectool.datasets.base import Dataset, Indices, Labels, is_multilabel
from ectool.errors import InputError
from ectool.seeding import stream

NO_TARGET = -1


def most_positives(labels: Int8[np.ndarray, "n c"]) -> int:
    """Return the maximum number of classes of a sample, at least 1."""
    return max(1, int((labels == 1).sum(axis=1).max()))


def positives(labels: Int8[np.ndarray, "n c"], width: int) -> Int64[np.ndarray, "n k"]:
    """Return the classes of each sample in ascending order, then -1 as padding.

    Args:
        labels: 1 for every class that is present.
        width: Length of a row, at least ``most_positives`` of all samples.
    """
    targets = np.full((len(labels), width), NO_TARGET, np.int64)
    for row, present in zip(targets, labels == 1, strict=True):
        found = np.flatnonzero(present)
        row[: len(found)] = found
    return targets


def check_label_range(dataset: Dataset, rows: Indices | None = None) -> None:
    """Check that every label is a class.

    Args:
        dataset: Single-label: every label is a class, or -1 if unknown. Multi-label: every sample
            has one entry for each class, which is 1, 0 or -1.
        rows: Samples to check; all of them unless given.

    Raises:
        InputError: A label is not a class; the message names the first.
    """
    labels, count = dataset.labels, len(dataset.classes)
    is_multi = is_multilabel(labels)
    if is_multi and labels.shape[1] != count:
        raise InputError(
            f"labels of {dataset.name}",
            expected=f"one entry for each of {count} classes",
            got=f"{labels.shape[1]} entries",
            fix="name as many classes as there are entries",
        )
    rows = np.arange(len(labels)) if rows is None else rows
    found = labels[rows].reshape(len(rows), count if is_multi else 1)
    invalid = (found < NO_TARGET) | (found > (1 if is_multi else count - 1))
    if invalid.any():
        row, column = np.argwhere(invalid)[0]
        known = "1, 0 or -1" if is_multi else f"a class from 0 to {count - 1}, or -1 for unknown"
        raise InputError(
            f"labels of {dataset.name}",
            expected=known,
            got=f"{found[row, column]} for {dataset.sample_ids[int(rows[row])]!r}"
            f" ({int(invalid.any(axis=1).sum())} such samples)",
            fix="correct the labels, or name all classes",
        )


def check_labelled(dataset: Dataset, fix: str) -> None:
    """Check that every sample of single-label data has a class.

    Raises:
        InputError: A sample has none; the message names the first.
    """
    labels: Labels = dataset.labels
    if is_multilabel(labels) or not (labels < 0).any():
        return
    raise InputError(
        dataset.name,
        expected="a label for every image",
        got=f"none for {dataset.sample_ids[int((labels < 0).argmax())]!r}",
        fix=fix,
    )


def shuffled(labels: Labels, seed: int) -> Labels:
    """Return the labels in a random order, which makes them independent of the images.

    Args:
        labels: True labels, single-label or multi-label.
        seed: Seed of the order.
    """
    order = stream(seed, "shuffled labels").permutation(len(labels))
    drawn: Labels = labels[order]
    return drawn
