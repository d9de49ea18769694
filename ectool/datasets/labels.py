"""What labels say: which classes a sample has, and which of them are explained."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int8, Int64

from ectool.datasets.base import Dataset, Labels, is_multilabel
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
        expected="a label for every picture",
        got=f"none for {dataset.sample_ids[int((labels < 0).argmax())]!r}",
        fix=fix,
    )


def check_label_range(dataset: Dataset) -> None:
    """Check that labels are those of the classes.

    Single-label data: 0 to the number of classes - 1, or -1 where nobody knows the class.
    Multi-label data: one column for each class, of 1 (present), 0 (absent) and -1 (not counted).

    Raises:
        InputError: A label is something else; the message names the first sample.
    """
    labels, classes = dataset.labels, len(dataset.classes)
    if is_multilabel(labels) and labels.shape[1] != classes:
        raise InputError(
            f"labels of {dataset.name}",
            expected=f"{classes} columns, one for each class",
            got=str(labels.shape[1]),
            fix="correct the labels, or the names of the classes",
        )
    top = 1 if is_multilabel(labels) else classes - 1
    bad = (labels < NO_TARGET) | (labels > top)
    if not bad.any():
        return
    first = int(np.flatnonzero(bad.reshape(len(labels), -1).any(axis=1))[0])
    raise InputError(
        f"labels of {dataset.name}",
        expected=f"0 to {top}" + (" or -1" if is_multilabel(labels) else f" for {classes} classes"),
        got=f"{labels[first][bad[first]].flat[0]} of {dataset.sample_ids[first]!r}",
        fix="correct the labels, or the names of the classes",
    )


def shuffled(labels: Labels, seed: int) -> Labels:
    """Return the labels in a random order, so that none tells anything of its picture.

    Args:
        labels: True classes, of one label each or of several.
        seed: Seed of the order.
    """
    order = stream(seed, "shuffled labels").permutation(len(labels))
    drawn: Labels = labels[order]
    return drawn
