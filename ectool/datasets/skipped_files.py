"""What lies beside the files of a data set and is not used, so that nothing goes unseen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ectool.datasets.base import Dataset
from ectool.datasets.formats import is_image_name
from ectool.datasets.image_files import ImageFiles
from ectool.datasets.sample_ids import readable
from ectool.datasets.subset import Subset

HIDDEN = "hidden files and folders"
NO_IMAGES = "files that are no images"
UNUSED = "images that no split uses"
_TABLES = ("boxes.csv",)


@dataclass
class Counted:
    """Files of one kind.

    Attributes:
        count: How many there are.
        first: Path of the first, as text that can be written.
    """

    count: int = 0
    first: str = ""


def passed_over(datasets: Iterable[Dataset], *, owns_folder: bool) -> dict[str, Counted]:
    """Count the files beside those of a data set that none of its splits uses.

    Args:
        datasets: All splits and variants that are there.
        owns_folder: Whether all below the data set's folder belongs to it; where not, only the
            folders that hold its files are looked at.

    Returns:
        Counts by kind, without kinds of which there is nothing.
    """
    files = [one for one in map(_whole, datasets) if isinstance(one, ImageFiles)]
    used = {os.path.normpath(path) for one in files for path in _used(one)}
    folders = {path.rpartition("/")[0] for path in used}
    if owns_folder:
        folders |= {path for one in files for path in _folders(one.folder)}
    found: dict[str, Counted] = {}
    for path in sorted(path for folder in folders for path in _beside(folder, used)):
        counted = found.setdefault(_kind(path), Counted(first=readable(path)))
        counted.count += 1
    return found


def _whole(dataset: Dataset) -> Dataset:
    while isinstance(dataset, Subset):
        dataset = dataset.whole
    return dataset


def _used(files: ImageFiles) -> Iterator[str]:
    """Yield the paths of all files of a split."""
    root = str(files.folder.absolute())  # links are not followed: names are compared
    for path in (*files.paths, *files.annotation_files):
        yield f"{root}/{path}"


def _folders(root: Path) -> Iterator[str]:
    """Yield a folder and all below it but hidden ones, links not followed."""
    for parent, names, _ in os.walk(root.absolute()):
        names[:] = [name for name in names if not name.startswith(".")]
        yield os.path.normpath(parent)


def _beside(folder: str, used: set[str]) -> Iterator[str]:
    """Yield what lies in a folder unused: files, and hidden folders."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # whoever reads its files says so
        return
    for entry in entries:
        is_file = not entry.is_dir() and entry.name not in _TABLES
        if (is_file or entry.name.startswith(".")) and entry.path not in used:
            yield entry.path


def _kind(path: str) -> str:
    name = path.rpartition("/")[2]
    if name.startswith("."):
        return HIDDEN
    return UNUSED if is_image_name(name) else NO_IMAGES
