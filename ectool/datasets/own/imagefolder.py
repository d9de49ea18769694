"""Image folders: one folder per class, as in torchvision's ImageFolder."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ectool.datasets.base import SPLITS, DataRequest, Dataset, Report
from ectool.datasets.catalogue import DataSetEntry
from ectool.datasets.formats import is_image_name
from ectool.datasets.image_files import ImageFiles
from ectool.datasets.own.drawn_annotations import DrawnAnnotations
from ectool.datasets.own.folders import Listing, list_split
from ectool.datasets.own.mask_files import MASKS
from ectool.datasets.own.table_rows import BOX, BoxCells, Row, read_rows
from ectool.datasets.splits import ALL
from ectool.errors import AbsentError, InputError
from ectool.input_files import real_path

BOXES = "boxes.csv"


def open_imagefolder(request: DataRequest) -> Dataset:
    """Open one split of a folder of images.

    Split folders are called train | training, val | valid | validation | dev, or test | testing, in
    any case, and contain folders. Classes are the union over all splits, sorted as text or by
    ``class_order`` of the request. Without split folders, the hash of the sample id selects the
    split: train for 80 %, validation for 10 % and test for 10 % of the images. Added or removed
    images do not change the split of the others. ``all`` is every image. Hidden files and folders
    are skipped. Links are followed, but every real folder counts once for a class.

    A mask has the path of its image below the folder ``masks``, in any image format. Boxes are rows
    ``path,x0,y0,x1,y1`` of ``boxes.csv``, any number per image, in pixels of the image as
    displayed, right and bottom exclusive.

    Args:
        request: ``path``, ``split``, ``view``, ``class_order`` and ``root`` are used.

    Returns:
        The data set; sample ids are POSIX paths relative to the folder.

    Raises:
        InputError: The folder, the split, its images or some of its masks are missing, or a row
            of ``boxes.csv`` is not valid.
    """
    folder = Path(request.path).expanduser()
    if not request.path or not folder.is_dir():
        raise AbsentError(
            f"imagefolder:{request.path}",
            expected="an existing folder that contains split or class folders",
            got="no such folder" if request.path else "no path",
            fix="write imagefolder:PATH with the folder's path",
        )
    listing = list_split(folder, request.split, request.class_order, request.report)
    labels = np.array(listing.labels, np.int64)
    labels.setflags(write=False)
    annotations = _annotations(folder, listing, request.report)
    return ImageFiles(
        name=f"imagefolder/{real_path(folder).name}/{request.split}",
        folder=folder,
        paths=listing.sample_ids,
        sample_ids=listing.sample_ids,
        labels=labels,
        classes=listing.classes,
        view=request.view,
        root=request.root,
        facts={"data": "imagefolder", **(annotations.facts() if annotations else {})},
        annotation_reader=annotations,
    )


def _annotations(folder: Path, listing: Listing, report: Report) -> DrawnAnnotations | None:
    """Return the masks and boxes of the images of a split."""
    images = listing.sample_ids
    boxes = _read_boxes(folder, images, report) if _has_boxes(folder) else None
    known = listing.masks is not None or boxes is not None
    return DrawnAnnotations(folder, images, listing.masks, boxes) if known else None


def _has_boxes(folder: Path) -> bool:
    """Return whether there is a file of boxes, or a broken link in its place."""
    return (folder / BOXES).exists() or (folder / BOXES).is_symlink()


def _read_boxes(
    folder: Path, images: Sequence[str], report: Report
) -> list[Float[np.ndarray, "k 4"]] | None:
    """Return the boxes of every image, None if no image has any."""
    found: dict[str, list[BoxCells]] = {image: [] for image in images}
    for row in read_rows(folder / BOXES, ("path", *BOX), report):
        try:
            path, box = _box_of(folder, row, found)
        except InputError as fault:
            report(fault)
            continue
        found.get(path, []).append(box)
    if not any(found.values()):
        return None
    return [np.array(boxes, np.float64).reshape(-1, 4) for boxes in found.values()]


def _box_of(folder: Path, row: Row, known: Container[str]) -> tuple[str, BoxCells]:
    """Return the image of a row, and its box."""
    path, box = row.path("path"), row.box()
    if box is None or not (path in known or (folder / path).is_file()):
        raise row.fault(
            expected=f"an image of {folder} and its box",
            got=", ".join(row.cells.values()),
            fix="correct the row or remove it",
        )
    return path, box


def check_strays(request: DataRequest) -> None:
    """Report masks without an image, and folders with the name of an image."""
    folder = Path(request.path).expanduser()
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(parent)
        for name in filter(is_image_name, folders):
            request.report(_stray(place / name, "a file, as the extension indicates", "a folder"))
        if MASKS in place.relative_to(folder).parts[:1]:
            images = folder / place.relative_to(folder / MASKS)
            stems = {path.stem for path in images.iterdir()} if images.is_dir() else set()
            for name in sorted(file for file in files if is_image_name(file)):
                if name[0] != "." and Path(name).stem not in stems:
                    request.report(_stray(place / name, f"its image in {images}", "none"))


def _stray(path: Path, expected: str, got: str) -> InputError:
    return InputError(str(path), expected=expected, got=got, fix="restore the image or remove it")


IMAGE_FOLDER = DataSetEntry(
    open=open_imagefolder,
    summary="Image folders: one folder per class; split folders, masks and boxes optional.",
    uri="imagefolder:PATH",
    splits=(*SPLITS, ALL),
    owns_folder=True,
    check_more=check_strays,
)
