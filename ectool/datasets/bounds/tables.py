"""Bounds of the labels of a table: repeated values need few bytes in a file, but many in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int8

from ectool.errors import InputError

MAX_CLASSES = 1_000_000
MAX_PRESENT = 2**26
"""Labels of all images of a table together."""
MAX_ENTRIES = 2**28
"""Entries of the labels of multi-label data: images times classes."""
_FIX = "divide the data set, or correct its labels"


class LabelNames:
    """Names of classes while a table is read: each name is in memory once, and counted.

    Args:
        where: The table, for errors.
        max_classes: How many classes it may have.
        max_present: How many labels all of its images may have together.
    """

    def __init__(
        self, where: str, max_classes: int = MAX_CLASSES, max_present: int = MAX_PRESENT
    ) -> None:
        self._where = where
        self._max_classes = max_classes
        self._max_present = max_present
        self._known: dict[str, str] = {}
        self._present = 0

    def shared(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the classes of an image.

        Raises:
            InputError: There are too many classes, or too many labels.
        """
        found = tuple(self._known.setdefault(name, name) for name in names)
        self._present += len(found)
        check_count(self._where, len(self._known), self._max_classes, "classes")
        check_count(self._where, self._present, self._max_present, "labels of all images together")
        return found


def check_count(where: str, count: int, limit: int, things: str) -> None:
    """Check that a table has no more of something than its limit.

    Args:
        where: The table, for the message.
        count: How many it has.
        limit: How many it may have.
        things: What is counted, in the plural.

    Raises:
        InputError: It has more.
    """
    if count > limit:
        raise InputError(where, expected=f"at most {limit:,} {things}", got=f"{count:,}", fix=_FIX)


def label_matrix(
    where: str, rows: Sequence[Sequence[int]], n_classes: int
) -> Int8[np.ndarray, "n c"]:
    """Return the labels of multi-label data: 1 for each class of an image, 0 for the others.

    Args:
        where: The data set, for the message.
        rows: Classes of each image.
        n_classes: Number of classes.

    Raises:
        InputError: The matrix would be larger than any that is meant.
    """
    check_count(where, len(rows) * n_classes, MAX_ENTRIES, "labels (images times classes)")
    labels = np.zeros((len(rows), n_classes), np.int8)
    for row, present in zip(labels, rows, strict=True):
        row[list(present)] = 1
    return labels
