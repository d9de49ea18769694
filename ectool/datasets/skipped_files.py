"""Files in the folders of a data set that none of its splits uses."""

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
NO_IMAGES = "files that are not images"
UNUSED = "images that no split uses"
_TABLES = ("boxes.csv",)


@dataclass
class SkippedFiles:
    """Skipped files of one kind.

    Attributes:
        count: Number of files.
        first: Path of the first, as printable text.
    """

    count: int = 0
    first: str = ""


def skipped_files(datasets: Iterable[Dataset], *, owns_folder: bool) -> dict[str, SkippedFiles]:
    """Count the files in the folders of a data set that none of its splits uses.

    Args:
        datasets: All splits and variants that exist.
        owns_folder: Whether all files below the data set's folder belong to it; if not, only the
            folders that hold its files are searched.

    Returns:
        Counts by kind, without kinds that do not occur.
    """
    files = [one for one in map(_whole, datasets) if isinstance(one, ImageFiles)]
    used = {os.path.normpath(path) for one in files for path in _used(one)}
    folders = {path.rpartition("/")[0] for path in used}
    if owns_folder:
        folders |= {path for one in files for path in _folders(one.folder)}
    found: dict[str, SkippedFiles] = {}
    for path in sorted(path for folder in folders for path in _unused(folder, used)):
        counted = found.setdefault(_kind(path), SkippedFiles(first=readable(path)))
        counted.count += 1
    return found


def _whole(dataset: Dataset) -> Dataset:
    while isinstance(dataset, Subset):
        dataset = dataset.whole
    return dataset


def _used(files: ImageFiles) -> Iterator[str]:
    """Yield the paths of all files of a split."""
    root = str(files.folder.absolute())  # links are not followed: paths are compared as text
    for path in (*files.paths, *files.annotation_files):
        yield f"{root}/{path}"


def _folders(root: Path) -> Iterator[str]:
    """Yield a folder and all below it; skip hidden folders, do not follow links."""
    for parent, names, _ in os.walk(root.absolute()):
        names[:] = [name for name in names if not name.startswith(".")]
        yield os.path.normpath(parent)


def _unused(folder: str, used: set[str]) -> Iterator[str]:
    """Yield the unused files and the hidden folders in a folder."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # reading the files of the data set reports it
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
