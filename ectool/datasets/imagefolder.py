"""Anybody's pictures: one folder per class, as torchvision's ImageFolder reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ectool.datasets.base import SPLITS, DataRequest, Dataset
from ectool.datasets.catalogue import Entry
from ectool.datasets.folders import ALL, list_split, mask_of
from ectool.datasets.picture_files import ObjectTruth, PictureFiles
from ectool.datasets.pictures import read_mask, read_size
from ectool.errors import InputError


@dataclass(frozen=True)
class MaskFolder:
    """Object masks that lie below ``masks`` as their pictures lie beside it.

    Attributes:
        folder: Folder of the data set.
        sample_ids: Paths of the pictures relative to it.
    """

    folder: Path
    sample_ids: Sequence[str]

    @property
    def files(self) -> list[str]:
        """Return the paths of the masks."""
        return [mask_of(sample_id) for sample_id in self.sample_ids]

    def read(self, index: int, target: int | None) -> ObjectTruth:  # noqa: ARG002 (one class each)
        """Return a picture's mask.

        Raises:
            InputError: It cannot be read or has another size than its picture.
        """
        sample_id = self.sample_ids[index]
        mask = read_mask(self.folder / mask_of(sample_id))
        width, height = read_size(self.folder / sample_id)
        if mask.size != (width, height):
            raise InputError(
                str(self.folder / mask_of(sample_id)),
                expected=f"{width} x {height} pixels, as {sample_id} is displayed",
                got=f"{mask.width} x {mask.height}",
                fix="make the mask from the picture at its full size",
            )
        return ObjectTruth(size=(width, height), mask=mask)


def open_imagefolder(request: DataRequest) -> Dataset:
    """Open one split of a folder of pictures.

    With split folders (train, val | validation | valid, test: a folder of that name that holds
    folders) those are the splits, and classes are the union over all of them. Without, the hash
    of the sample id sends 80 % to train, 10 % to validation and 10 % to test, so that pictures
    which come or go leave the others where they are. ``all`` is every picture. Hidden files and
    folders are skipped.

    Args:
        request: ``path``, ``split``, ``view`` and ``root`` count.

    Returns:
        The data set; sample ids are POSIX paths relative to the folder.

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
    return PictureFiles(
        name=f"imagefolder/{folder.resolve().name}/{request.split}",
        folder=folder,
        paths=listing.sample_ids,
        sample_ids=listing.sample_ids,
        labels=labels,
        classes=listing.classes,
        view=request.view,
        root=request.root,
        facts={"data": "imagefolder"},
        truth=MaskFolder(folder, listing.sample_ids) if listing.has_masks else None,
    )


IMAGE_FOLDER = Entry(
    open=open_imagefolder,
    summary="Anybody's pictures: one folder per class, split folders and masks optional.",
    uri="imagefolder:PATH",
    splits=(*SPLITS, ALL),
)
