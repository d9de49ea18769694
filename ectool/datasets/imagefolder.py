"""Anybody's pictures: one folder per class, as torchvision's ImageFolder reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ectool.datasets.base import SPLITS, DataRequest, Dataset
from ectool.datasets.catalogue import Entry
from ectool.datasets.drawn_truth import DrawnTruth
from ectool.datasets.folders import ALL, Listing, list_split
from ectool.datasets.picture_files import PictureFiles
from ectool.datasets.table_rows import BOX, BoxCells, read_rows
from ectool.errors import InputError

BOXES = "boxes.csv"


def open_imagefolder(request: DataRequest) -> Dataset:
    """Open one split of a folder of pictures.

    With split folders (train | training, val | valid | validation | dev, test | testing, in any
    case: a folder of that name that holds folders) those are the splits, and classes are the union
    over all of them, sorted as ``class_order`` of the request says, as text unless it does.
    Without, the hash of the sample id sends 80 % to train, 10 % to validation and 10 % to test, so
    that pictures which come or go leave the others where they are. ``all`` is every picture. Hidden
    files and folders are skipped. Links are followed, but every real folder counts once a class.

    Masks lie below ``masks`` as their images lie beside it, in any image format; boxes
    are rows ``path,x0,y0,x1,y1`` of ``boxes.csv``, any number for an image, in pixels of the image
    as it is displayed, right and bottom exclusive.

    Args:
        request: ``path``, ``split``, ``view``, ``class_order`` and ``root`` count.

    Returns:
        The data set; sample ids are POSIX paths relative to the folder.

    Raises:
        InputError: The folder, the split, its pictures or some of its masks are missing, or a row
            of ``boxes.csv`` is not valid.
    """
    folder = Path(request.path).expanduser()
    if not request.path or not folder.is_dir():
        raise InputError(
            f"imagefolder:{request.path}",
            expected="an existing folder that holds split or class folders",
            got="no such folder" if request.path else "no path",
            fix="write imagefolder:PATH with the folder's path",
        )
    listing = list_split(folder, request.split, request.class_order)
    labels = np.array(listing.labels, np.int64)
    labels.setflags(write=False)
    truth = _truth(folder, listing)
    return PictureFiles(
        name=f"imagefolder/{folder.resolve().name}/{request.split}",
        folder=folder,
        paths=listing.sample_ids,
        sample_ids=listing.sample_ids,
        labels=labels,
        classes=listing.classes,
        view=request.view,
        root=request.root,
        facts={"data": "imagefolder", **(truth.facts() if truth else {})},
        truth=truth,
    )


def _truth(folder: Path, listing: Listing) -> DrawnTruth | None:
    """Return the masks and boxes that users put beside the pictures of a split."""
    pictures = listing.sample_ids
    boxes = _read_boxes(folder, pictures) if (folder / BOXES).is_file() else None
    known = listing.masks is not None or boxes is not None
    return DrawnTruth(folder, pictures, listing.masks, boxes) if known else None


def _read_boxes(folder: Path, pictures: Sequence[str]) -> list[Float[np.ndarray, "k 4"]] | None:
    """Return the boxes of every picture, None where no row is about any of them."""
    found: dict[str, list[BoxCells]] = {picture: [] for picture in pictures}
    for row in read_rows(folder / BOXES, ("path", *BOX)):
        path, box = row.path("path"), row.box()
        if box is None or not (path in found or (folder / path).is_file()):
            raise row.fault(
                expected=f"a picture of {folder} and its box",
                got=", ".join(row.cells.values()),
                fix="correct the row or remove it",
            )
        found.get(path, []).append(box)
    if not any(found.values()):
        return None
    return [np.array(boxes, np.float64).reshape(-1, 4) for boxes in found.values()]


IMAGE_FOLDER = Entry(
    open=open_imagefolder,
    summary="Anybody's pictures: one folder per class; split folders, masks and boxes optional.",
    uri="imagefolder:PATH",
    splits=(*SPLITS, ALL),
)
