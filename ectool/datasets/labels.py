"""What labels say: which classes a sample has, and which of them are explained."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8, Int64

from ectool.datasets.base import Dataset, Indices, Labels, is_multilabel
from ectool.errors import InputError
from ectool.seeding import stream

NO_TARGET = -1


def most_positives(labels: Int8[np.ndarray, "n c"]) -> int:
    """Return the greatest number of classes that a sample has, at least 1."""
    return max(1, int((labels == 1).sum(axis=1).max()))


def positives(labels: Int8[np.ndarray, "n c"], width: int) -> Int64[np.ndarray, "n k"]:
    """Return the classes that each sample has, in ascending order, then -1 as filling.

    Args:
        labels: 1 for every class that is there.
        width: Length of a row, at least ``most_positives`` of all samples.
    """
    targets = np.full((len(labels), width), NO_TARGET, np.int64)
    for row, present in zip(targets, labels == 1, strict=True):
        found = np.flatnonzero(present)
        row[: len(found)] = found
    return targets


def check_label_range(dataset: Dataset, rows: Indices | None = None) -> None:
    """Check that labels are ones of the classes.

    Args:
        dataset: Single-label: every label is a class, or -1 where it is not known. Multi-label:
            every sample has one entry for each class, which is 1, 0 or -1.
        rows: Samples to look at; all of them unless given.

    Raises:
        InputError: One is not; the message names the first.
    """
    labels, count = dataset.labels, len(dataset.classes)
    several = is_multilabel(labels)
    if several and labels.shape[1] != count:
        raise InputError(
            f"labels of {dataset.name}",
            expected=f"one entry for each of {count} classes",
            got=f"{labels.shape[1]} entries",
            fix="name as many classes as there are entries",
        )
    rows = np.arange(len(labels)) if rows is None else rows
    found = labels[rows].reshape(len(rows), count if several else 1)
    wrong = (found < NO_TARGET) | (found > (1 if several else count - 1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        known = "1, 0 or -1" if several else f"a class from 0 to {count - 1}, or -1 for unknown"
        raise InputError(
            f"labels of {dataset.name}",
            expected=known,
            got=f"{found[row, column]} for {dataset.sample_ids[int(rows[row])]!r}"
            f" ({int(wrong.any(axis=1).sum())} such samples)",
            fix="correct the labels, or name all classes",
        )


def check_labelled(dataset: Dataset, fix: str) -> None:
    """Check that every sample of single-label data has a class.

    Raises:
        InputError: One has none; the message names the first.
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
    """Return the labels in a random order, so that none tells anything of its image.

    Args:
        labels: True classes, of one label each or of several.
        seed: Seed of the order.
    """
    order = stream(seed, "shuffled labels").permutation(len(labels))
    drawn: Labels = labels[order]
    return drawn
