"""Description of a data set before it is opened: its splits, its archives, where they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from ectool.datasets.base import SPLITS, DataRequest, Dataset
from ectool.errors import AbsentError, InputError, hint

Opener = Callable[[DataRequest], Dataset]


@dataclass(frozen=True)
class Archive:
    """A published file of a data set.

    Attributes:
        name: File name.
        checksum: Its published checksum with its kind, e.g. ``MD5 91f7…``; empty if there is none.
    """

    name: str
    checksum: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.checksum})" if self.checksum else self.name


@dataclass(frozen=True)
class DataSetEntry:
    """A data set that can be named in a data URI.

    Attributes:
        open: Opens one split and variant.
        summary: One line for people.
        uri: Form of its URI, e.g. ``cub200[:PATH]``.
        splits: Its splits; the first is the training split.
        variants: Its background variants.
        archives: Files to download; none for data that users bring or ectool generates.
        folder: Where the archives are unpacked, below ``ECTOOL_DATA``.
        owns_folder: Whether all files in the folder belong to it.
        has_folds: Whether its training images come in predefined folds.
        splits_at: Returns the splits at a path; None if all paths have the same splits.
        check_more: Reports the faults of files that belong to no split, such as lists that only an
            option reads; None if there are no such files.
        groups: Returns the class of this data set that each class of ImageNet belongs to, -1 for
            none; None if models of ImageNet's classes do not apply.
    """

    open: Opener
    summary: str
    uri: str
    splits: tuple[str, ...] = SPLITS
    variants: tuple[str, ...] = ("original",)
    archives: tuple[Archive, ...] = ()
    folder: str = ""
    owns_folder: bool = False
    has_folds: bool = False
    splits_at: Callable[[str], tuple[str, ...]] | None = None
    groups: Callable[[], Int64[np.ndarray, "c"]] | None = None
    check_more: Callable[[DataRequest], None] | None = None


def missing_file(path: Path, archive: Archive, place: Path, *, others: bool = True) -> InputError:
    """Return the error for a missing file of a published archive.

    Args:
        path: The missing file or folder.
        archive: The archive that contains it.
        place: The folder to unpack the archive in.
        others: Whether other files of the archive exist.
    """
    kind = InputError if others else AbsentError
    return kind(
        str(path),
        expected=f"a file of {archive}",
        got="no such file",
        fix=f"get {archive.name} and unpack it in {place}",
    )


def unknown_name(subject: str, name: str, known: Sequence[str]) -> InputError:
    """Return the error for a name that is none of the known ones."""
    return InputError(
        subject,
        expected=f"one of {', '.join(known)}",
        got=repr(name),
        fix=hint(name, known) + "choose one of them",
    )


def unknown_split(name: str, split: str, known: Sequence[str]) -> InputError:
    """Return the error for a split that a data set does not have."""
    return AbsentError(
        f"split {split!r} of {name}",
        expected=f"one of {', '.join(known)}",
        got="no such split",
        fix=hint(split, known) + "choose one of them",
    )
