"""The masks of the images of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ectool.datasets.base import Report, raise_fault
from ectool.datasets.formats import image_names
from ectool.errors import InputError

MASKS = "masks"


def mask_of(sample_id: str) -> str:
    """Return the usual path of the mask of an image, relative to the folder.

    Args:
        sample_id: Path of the image relative to the folder.

    Returns:
        The same path below ``masks``, with the extension ``.png``.
    """
    return Path(MASKS, sample_id).with_suffix(".png").as_posix()


def find_masks(
    folder: Path,
    groups: Sequence[str],
    sample_ids: Sequence[str],
    report: Report = raise_fault,
) -> tuple[str, ...] | None:
    """Return the masks of images: files below ``masks``, possibly with another extension.

    Args:
        folder: The folder that contains split or class folders.
        groups: Names of the split folders; one empty name if there are none.
        sample_ids: Paths of the images relative to the folder.
        report: Receives the error for each image without a mask, or with several.

    Returns:
        POSIX paths relative to the folder, or None if a split has no folder of masks.

    Raises:
        InputError: An image has no mask though others have, or has several.
    """
    if not all((folder / MASKS / group).is_dir() for group in groups):
        return None
    listed: dict[PurePosixPath, dict[str, list[str]]] = {}
    for sample_id in sample_ids:
        parent = PurePosixPath(MASKS, sample_id).parent
        if parent not in listed:
            listed[parent] = _by_stem(folder / parent)
    return tuple(
        _mask_of(folder, sample_id, listed[PurePosixPath(MASKS, sample_id).parent], report)
        for sample_id in sample_ids
    )


def _by_stem(folder: Path) -> dict[str, list[str]]:
    """Return the names of the images in a folder, by their stems."""
    found: dict[str, list[str]] = {}
    for name in image_names(folder):
        found.setdefault(PurePosixPath(name).stem, []).append(name)
    return found


def _mask_of(folder: Path, sample_id: str, names: dict[str, list[str]], report: Report) -> str:
    """Return the mask of an image: the only file of its stem, or the one of exactly its name."""
    path = PurePosixPath(MASKS, sample_id)
    found = names.get(path.stem, [])
    if len(found) == 1 or path.name in found:
        return (path.parent / (found[0] if len(found) == 1 else path.name)).as_posix()
    report(
        InputError(
            str(folder / mask_of(sample_id)),
            expected=f"the mask of {sample_id}, as other images have masks",
            got=f"several: {', '.join(found)}" if found else "no such file",
            fix="keep one of them" if found else "add the mask, or move the masks folder away",
        )
    )
    return mask_of(sample_id)
