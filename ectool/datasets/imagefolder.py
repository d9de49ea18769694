"""Anybody's pictures: one folder per class, as torchvision's ImageFolder reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from PIL import Image

from ectool.datasets.arrays import boxes_of
from ectool.datasets.base import DataRequest, Dataset, Indices
from ectool.datasets.fingerprint import content_digest, digest_of
from ectool.datasets.folders import list_split, mask_of
from ectool.datasets.pictures import (
    evaluation_view,
    read_mask,
    read_picture,
    read_size,
)
from ectool.errors import InputError

_VIEW_VERSION = 1
_MAX_THREADS = 8


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """One split of a folder of pictures, decoded when asked for.

    Attributes:
        folder: The folder that holds split or class folders.
        split: ``train``, ``validation``, ``test`` or ``all``.
        side: Side of the square evaluation view in pixels.
        classes: Names of the class folders, sorted.
        sample_ids: POSIX paths of the pictures relative to the folder.
        labels: Index of each picture's class.
        has_masks: Whether every picture has a mask.
        root: Folder under which content digests are remembered.
    """

    folder: Path
    split: str
    side: int
    classes: tuple[str, ...]
    sample_ids: tuple[str, ...]
    labels: Int64[np.ndarray, "n"]
    has_masks: bool
    root: Path

    @property
    def name(self) -> str:
        """Return a short name for people, e.g. ``imagefolder/birds/test``."""
        return f"imagefolder/{self.folder.resolve().name}/{self.split}"

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) of the evaluation view in pixels."""
        return self.side, self.side

    @cached_property
    def fingerprint(self) -> str:
        """Return the SHA-256 over ids, classes, view and the contents of pictures and masks."""
        masks = [mask_of(sample_id) for sample_id in self.sample_ids] if self.has_masks else []
        return digest_of(
            {
                "data": "imagefolder",
                "view": [_VIEW_VERSION, self.side],
                "classes": self.classes,
                "labels": self.labels.tolist(),
                "content": content_digest(self.folder, [*self.sample_ids, *masks], self.root),
            }
        )

    def images(self, indices: Indices) -> UInt8[np.ndarray, "b 3 h w"]:
        """Return the evaluation views of pictures.

        Raises:
            InputError: A picture cannot be read.
        """
        views = np.empty((len(indices), 3, self.side, self.side), np.uint8)

        def read(row: int) -> None:
            picture = read_picture(self.folder / self.sample_ids[indices[row]])
            views[row] = evaluation_view(picture, self.side).transpose(2, 0, 1)

        _for_each(read, len(indices))
        return views

    def masks(self, indices: Indices) -> Bool[np.ndarray, "b h w"] | None:
        """Return the evaluation views of the object masks, None where there are none.

        Raises:
            InputError: A mask cannot be read or has another size than its picture.
        """
        if not self.has_masks:
            return None
        views = np.empty((len(indices), self.side, self.side), np.bool_)

        def read(row: int) -> None:
            mask = _read_mask(self.folder, self.sample_ids[indices[row]])
            views[row] = evaluation_view(mask, self.side, Image.Resampling.NEAREST)

        _for_each(read, len(indices))
        return views

    def boxes(self, indices: Indices) -> Int64[np.ndarray, "b 4"] | None:
        """Return the tightest boxes around the masks, None where there are none.

        A picture whose object lies outside the view has a box of four zeros.
        """
        masks = self.masks(indices)
        return None if masks is None else boxes_of(masks)


def open_imagefolder(request: DataRequest) -> Dataset:
    """Open one split of a folder of pictures.

    With split folders (train, val | validation | valid, test: a folder of that name that holds
    folders) those are the splits, and classes are the union over all of them. Without, the hash
    of the sample id sends 80 % to train, 10 % to validation and 10 % to test, so that pictures
    which come or go leave the others where they are. ``all`` is every picture. Hidden files and
    folders are skipped.

    Args:
        request: ``path``, ``split``, ``size`` and ``root`` count.

    Returns:
        The data set.

    Raises:
        InputError: The folder, the split, its pictures or some of its masks are missing.
    """
    folder = Path(request.path).expanduser()
    if not request.path or not folder.is_dir():
        raise InputError(
            f"imagefolder:{request.path}",
            expected="an existing folder that holds split or class folders",
            got="no such folder" if request.path else "no path",
            fix="write imagefolder:PATH with the folder's path",
        )
    listing = list_split(folder, request.split)
    labels = np.array(listing.labels, np.int64)
    labels.setflags(write=False)
    return ImageFolder(
        folder=folder,
        split=request.split,
        side=request.size,
        classes=listing.classes,
        sample_ids=listing.sample_ids,
        labels=labels,
        has_masks=listing.has_masks,
        root=request.root,
    )


def _read_mask(folder: Path, sample_id: str) -> Image.Image:
    mask = read_mask(folder / mask_of(sample_id))
    width, height = read_size(folder / sample_id)
    if mask.size != (width, height):
        raise InputError(
            str(folder / mask_of(sample_id)),
            expected=f"{width} x {height} pixels, as {sample_id} is displayed",
            got=f"{mask.width} x {mask.height}",
            fix="make the mask from the picture at its full size",
        )
    return mask


def _for_each(read: Callable[[int], None], count: int) -> None:
    """Run ``read`` for every row on a few threads; PIL decodes outside the interpreter's lock."""
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(read, range(count)):
            pass
