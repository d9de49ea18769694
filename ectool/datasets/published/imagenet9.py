"""ImageNet-9 and its background variants (Xiao et al., "Noise or Signal", ICLR 2021)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

import numpy as np
from PIL import Image

from ectool.datasets.base import SPLITS, VARIANTS, DataRequest, Dataset, Report
from ectool.datasets.catalogue import Archive, DataSetEntry, missing_file, unknown_split
from ectool.datasets.formats import image_names
from ectool.datasets.image_files import ImageAnnotations, ImageFiles
from ectool.datasets.images import read_size
from ectool.datasets.published.imagenet9_classes import CLASSES, FOLDERS, class_mapping
from ectool.datasets.published.unpacked import Unpacked
from ectool.errors import InputError
from ectool.input_files import ARRAY, check_regular

__all__ = ["IMAGENET9", "class_mapping", "open_imagenet9"]

FOLDER = "imagenet9"
CHALLENGE = "bg_challenge"
TRAINING = "in9l"
CHALLENGE_ARCHIVE = Archive("backgrounds_challenge_data.tar.gz")
TRAINING_ARCHIVE = Archive("in9l.tar.gz")

_WITHOUT_OBJECT = ("only_bg_b", "only_bg_t")
_MASKS = f"{CHALLENGE}/fg_mask/val"
_PARTS = {"train": "train", "validation": "val"}
_STEM = re.compile(r"(?:fg_)?(?P<foreground>n\d+_\d+)(?:_bg_.*)?")


@dataclass(frozen=True)
class ForegroundMasks:
    """Published masks from GrabCut, one ``.npy`` file per foreground.

    Attributes:
        source: Folder of the data set.
        paths: Paths of the images relative to it.
        files: Paths of their masks.
    """

    source: Unpacked
    paths: Sequence[str]
    files: Sequence[str]

    def read(self, index: int, target: int | None, max_pixels: int) -> ImageAnnotations:  # noqa: ARG002 (one class each)
        """Return the mask of an image.

        Raises:
            InputError: It cannot be read or has another size than its image.
        """
        name = self.files[index]
        inside = _read_array(self.source, name) != 0
        width, height = read_size(self.source.folder / self.paths[index], max_pixels)
        if inside.shape != (height, width):
            expected, got = f"{height} rows of {width} pixels", f"shape {inside.shape}"
            raise self.source.damaged(name, expected, got)
        mask = Image.fromarray(inside.astype(np.uint8) * 255)
        return ImageAnnotations(size=(width, height), mask=mask)


def open_imagenet9(request: DataRequest) -> Dataset:
    """Open one split and variant of ImageNet-9.

    ``test`` is the Backgrounds Challenge, 450 images of each class in every variant. ``train``
    and ``validation`` of ``original`` are ImageNet-9L; those of the other variants come from the
    training archive of that name. The official evaluation does not resize test images: use the view
    ``squash`` at their own size.

    A sample id is SPLIT/CLASS/FOREGROUND, e.g. ``test/00_dog/n02085936_01234``, and images are in
    the order of the ids, so the same row of every variant shows the same foreground. (The numbers
    of the test split are those of ImageNet's validation images.) Names of mixed images contain
    their backgrounds; these are not used, because the names of ``mixed_rand`` repeat those of
    ``mixed_next`` (issue 8 of the official repository).

    Test images have masks, except in ``only_bg_b`` and ``only_bg_t``, which show no object.

    Args:
        request: ``path`` (the folder that contains bg_challenge and in9l, or its parent;
            ``root/imagenet9`` where empty), ``split``, ``variant``, ``view`` and ``root`` are used.

    Returns:
        The data set.

    Raises:
        InputError: Files are missing, or the split does not exist.
    """
    if request.split not in SPLITS:
        raise unknown_split("imagenet9", request.split, SPLITS)
    folder = _find_folder(request)
    branch, archive = _source(request.split, request.variant)
    if not (folder / branch).is_dir():
        first = folder / branch / FOLDERS[0]
        raise missing_file(first, archive, folder, others=False)
    samples = [
        sample
        for label, name in enumerate(FOLDERS)
        for sample in _list_class(folder, f"{branch}/{name}", label, archive, request.report)
    ]
    paths = tuple(path for path, _, _ in samples)
    foregrounds = [foreground for _, foreground, _ in samples]
    labels = np.array([label for _, _, label in samples], np.int64)
    labels.setflags(write=False)
    has_masks = request.split == "test" and request.variant not in _WITHOUT_OBJECT
    return ImageFiles(
        name=f"imagenet9/{request.split}/{request.variant}",
        folder=folder,
        paths=paths,
        sample_ids=tuple(f"{request.split}/{foreground}" for foreground in foregrounds),
        labels=labels,
        classes=CLASSES,
        view=request.view,
        root=request.root,
        facts={"data": "imagenet9"},
        annotation_reader=_masks(folder, paths, foregrounds, request.report) if has_masks else None,
    )


def _find_folder(request: DataRequest) -> Path:
    start = Path(request.path).expanduser() if request.path else request.root
    if start.name == CHALLENGE and not (start / CHALLENGE).is_dir():
        return start.parent
    nested = start / FOLDER
    is_itself = start.name == FOLDER or any((start / n).is_dir() for n in (CHALLENGE, TRAINING))
    return start if is_itself and not nested.is_dir() else nested


def _source(split: str, variant: str) -> tuple[str, Archive]:
    """Return the folder of the classes of a split and variant, and its archive."""
    if split == "test":
        return f"{CHALLENGE}/{variant}/val", CHALLENGE_ARCHIVE
    if variant == "original":
        return f"{TRAINING}/{_PARTS[split]}", TRAINING_ARCHIVE
    return f"{variant}/{_PARTS[split]}", Archive(f"{variant}.tar.gz")


def _list_class(
    folder: Path, branch: str, label: int, archive: Archive, report: Report
) -> list[tuple[str, str, int]]:
    """Return (path, CLASS/FOREGROUND, label) of each image of a class, sorted by foreground."""
    names = image_names(folder / branch)
    if not names:
        report(missing_file(folder / branch, archive, folder))
    found = [(f"{branch}/{name}", f"{FOLDERS[label]}/{_foreground(name)}", label) for name in names]
    return sorted(found, key=itemgetter(1, 0))


def _foreground(name: str) -> str:
    """Return the foreground in a file name: WordNet id and number."""
    stem = Path(name).stem
    match = _STEM.fullmatch(stem)
    return match["foreground"] if match else stem


def _masks(
    folder: Path, paths: Sequence[str], foregrounds: Sequence[str], report: Report
) -> ForegroundMasks:
    source = Unpacked(folder, CHALLENGE_ARCHIVE, folder, report)
    files = [f"{_MASKS}/{foreground}.npy" for foreground in foregrounds]
    source.require(files)
    return ForegroundMasks(source, paths, files)


def _read_array(source: Unpacked, name: str) -> np.ndarray:
    """Read an array from a ``.npy`` file; never an archive or a pickle.

    It is memory-mapped, because reading takes the memory that the header declares first.
    """
    try:
        check_regular(source.folder / name, ARRAY)
        array: np.ndarray = np.lib.format.open_memmap(source.folder / name, mode="r")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"values of type {array.dtype}")
    except InputError:
        raise
    except Exception as error:  # a damaged header can raise any exception
        got = f"{type(error).__name__} ({error})"
        raise source.damaged(name, "an array of numbers", got) from error
    return array


IMAGENET9 = DataSetEntry(
    open=open_imagenet9,
    summary="ImageNet-9 with swapped and removed backgrounds: 9 classes, 4,050 test images.",
    uri="imagenet9[:PATH]",
    variants=(*VARIANTS, "only_bg_b"),
    archives=(CHALLENGE_ARCHIVE, TRAINING_ARCHIVE),
    folder=FOLDER,
    groups=class_mapping,
)
