"""Which pictures, classes and masks a folder holds, and which split each picture belongs to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ectool.datasets.base import SPLITS
from ectool.datasets.formats import is_image_name
from ectool.datasets.mask_files import MASKS, find_masks
from ectool.errors import InputError

ALL = "all"
SPLIT_FOLDERS = {
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "valid": "validation",
    "test": "test",
}

_LAYOUT = "PATH/<split>/<class>/<picture> or PATH/<class>/<picture>"


@dataclass(frozen=True)
class Listing:
    """What a folder holds for one split.

    Attributes:
        classes: Names of the class folders of all splits, sorted.
        sample_ids: POSIX paths of the pictures relative to the folder, in torchvision's order.
        labels: Index of each picture's class.
        masks: POSIX path of each image's mask relative to the folder, where there are masks.
    """

    classes: tuple[str, ...]
    sample_ids: tuple[str, ...]
    labels: tuple[int, ...]
    masks: tuple[str, ...] | None


def list_split(folder: Path, split: str) -> Listing:
    """List one split of a folder of pictures.

    A folder named as in ``SPLIT_FOLDERS`` that holds folders is a split folder. Without any, the
    split of a picture is drawn by the hash of its id.

    Args:
        folder: The folder that holds split or class folders.
        split: One of ``SPLITS`` or ``all``.

    Returns:
        Classes, pictures and labels.

    Raises:
        InputError: The split does not exist or is empty, or some of its masks are missing.
    """
    if split not in (*SPLITS, ALL):
        raise _unknown_split(split, (*SPLITS, ALL))
    groups = _split_groups(folder)
    if groups:
        chosen = _chosen_groups(groups, split)
        classes = sorted({name for group in groups for name in _folders(folder / group)})
        samples = [sample for group in chosen for sample in _list_samples(folder, group)]
    else:
        chosen = [""]
        classes = _class_folders(folder, "")
        samples = [s for s in _list_samples(folder, "") if split in (ALL, drawn_split(s[0]))]
    if not samples:
        raise _no_pictures(folder, split)
    sample_ids = tuple(sample_id for sample_id, _ in samples)
    index = {name: number for number, name in enumerate(classes)}
    labels = tuple(index[name] for _, name in samples)
    return Listing(tuple(classes), sample_ids, labels, find_masks(folder, chosen, sample_ids))


def drawn_split(sample_id: str) -> str:
    """Return the split that the hash of a sample id falls into.

    Args:
        sample_id: Identifier of a picture in a folder without split folders.

    Returns:
        ``train`` (probability 0.8), ``validation`` (0.1) or ``test`` (0.1).
    """
    digest = hashlib.sha256(os.fsencode(sample_id)).digest()
    tenth = 10 * int.from_bytes(digest[:8], "big") >> 64
    return {8: "validation", 9: "test"}.get(tenth, "train")


def _split_groups(folder: Path) -> dict[str, str]:
    """Map the names of the split folders to the splits they hold; empty without any."""
    groups = {group: split for group, split in SPLIT_FOLDERS.items() if _folders(folder / group)}
    if len(set(groups.values())) < len(groups):
        raise InputError(
            str(folder),
            expected="one folder for the validation split",
            got=", ".join(groups),
            fix="keep one of them",
        )
    return groups


def _chosen_groups(groups: dict[str, str], split: str) -> list[str]:
    chosen = [group for group, held in groups.items() if split in (held, ALL)]
    if not chosen:
        raise _unknown_split(split, (*groups.values(), ALL))
    return chosen


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(name for name in names if not name.startswith("."))


def _class_folders(folder: Path, group: str) -> list[str]:
    return [name for name in _folders(folder / group) if group or name != MASKS]


def _list_samples(folder: Path, group: str) -> list[tuple[str, str]]:
    """List (sample id, class) of a split folder, or of a folder without any (group empty)."""
    samples = []
    for name in _class_folders(folder, group):
        found = _list_pictures(folder, folder / group / name)
        if not found:
            raise InputError(
                str(folder / group / name),
                expected="images (files with an extension such as .jpg, .png, .webp or .tif)",
                got="none",
                fix="add some or remove the class folder",
            )
        samples += [(sample_id, name) for sample_id in found]
    return samples


def _list_pictures(folder: Path, branch: Path) -> list[str]:
    found = []
    for parent, _, files in sorted(os.walk(branch, followlinks=True)):
        prefix = Path(parent).relative_to(folder).as_posix()
        pictures = sorted(file for file in files if is_image_name(file))
        found += [path for path in (f"{prefix}/{file}" for file in pictures) if "/." not in path]
    return found


def _unknown_split(split: str, known: Sequence[str]) -> InputError:
    return InputError(
        f"split {split!r} of imagefolder",
        expected=f"one of {', '.join(known)}",
        got="no such split",
        fix="choose one of them",
    )


def _no_pictures(folder: Path, split: str) -> InputError:
    return InputError(
        str(folder),
        expected=f"pictures of the split {split!r}, laid out as {_LAYOUT}",
        got="none",
        fix=f"check the layout, or add pictures; the split {ALL!r} takes every picture",
    )
