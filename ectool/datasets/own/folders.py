"""Lists the images, classes, masks and splits of a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ectool.config.splits import SPLIT_NAMES
from ectool.datasets.base import SPLITS, Report, raise_fault
from ectool.datasets.catalogue import unknown_split
from ectool.datasets.class_order import ClassOrder, ordered_classes
from ectool.datasets.formats import is_image_name
from ectool.datasets.own.mask_files import MASKS, find_masks
from ectool.datasets.splits import ALL, drawn_split
from ectool.errors import AbsentError, InputError
from ectool.input_files import real_path

_LAYOUT = "PATH/<split>/<class>/<image> or PATH/<class>/<image>"


@dataclass(frozen=True)
class Listing:
    """The images of one split of a folder.

    Attributes:
        classes: Names of the class folders of all splits, in order.
        sample_ids: POSIX paths of the images relative to the folder, in torchvision's order.
        labels: Index of each image's class.
        masks: POSIX path of the mask of each image relative to the folder, or None.
    """

    classes: tuple[str, ...]
    sample_ids: tuple[str, ...]
    labels: tuple[int, ...]
    masks: tuple[str, ...] | None


def list_split(
    folder: Path, split: str, order: ClassOrder | None = None, report: Report = raise_fault
) -> Listing:
    """List one split of a folder of images.

    A folder is a split folder if its name is in ``SPLIT_NAMES`` and it contains folders. Without
    split folders, the hash of the id of an image selects its split.

    Args:
        folder: The folder that contains split or class folders.
        split: One of ``SPLITS`` or ``all``.
        order: Order of the classes; as text if it is None.
        report: Receives the errors of class folders without images and of missing masks.

    Returns:
        Classes, images and labels.

    Raises:
        InputError: The split does not exist or is empty, some of its masks are missing, a split
            folder has images but no class folders, or a class folder is a link to a folder
            that contains it.
    """
    if split not in (*SPLITS, ALL):
        raise unknown_split("imagefolder", split, (*SPLITS, ALL))
    groups = _split_groups(folder)
    if groups:
        chosen = _chosen_groups(groups, split)
        classes = list({name for group in groups for name in _folders(folder / group)})
        samples = [sample for group in chosen for sample in _list_samples(folder, group, report)]
    else:
        chosen = [""]
        classes = _class_folders(folder, "")
        found = _list_samples(folder, "", report)
        samples = [s for s in found if split in (ALL, drawn_split(s[0]))]
    if not samples:
        raise _no_images(folder, split)
    classes = ordered_classes(classes, order, str(folder), default="text")
    sample_ids = tuple(sample_id for sample_id, _ in samples)
    index = {name: number for number, name in enumerate(classes)}
    labels = tuple(index[name] for _, name in samples)
    return Listing(
        tuple(classes), sample_ids, labels, find_masks(folder, chosen, sample_ids, report)
    )


def _split_groups(folder: Path) -> dict[str, str]:
    """Return the split of each split folder, by its name."""
    found = _folders(folder)
    named = {
        name: split
        for known, split in SPLIT_NAMES.items()
        for name in found
        if name.lower() == known
    }
    groups = {name: split for name, split in named.items() if _folders(folder / name)}
    if len(set(groups.values())) < len(groups):
        raise InputError(
            str(folder),
            expected="one folder for each split",
            got=", ".join(groups),
            fix="keep one of them",
        )
    others = set(_class_folders(folder, "")) - set(named)
    for name in [name for name in named if name not in groups] if groups or not others else ():
        if not groups or _has_images(folder / name):
            raise InputError(
                str(folder / name),
                expected="a folder for each class in it",
                got="none",
                fix="move the images into class folders, or name their classes in a table "
                "(csv:FILE)",
            )
    _check_are_splits(folder, list(groups), sorted(others))
    return groups


def _check_are_splits(folder: Path, groups: list[str], others: list[str]) -> None:
    """Check that a single split folder is not a class with such a name among other classes."""
    others = [name for name in others if _has_images(folder / name)]
    if len(groups) == 1 and others:
        raise InputError(
            str(folder),
            expected="folders of splits, or folders of classes",
            got=f"{groups[0]} with folders, and {', '.join(others)} with images",
            fix=f"rename {groups[0]} if it is a class; otherwise move the others away",
        )


def _has_images(folder: Path) -> bool:
    return any(is_image_name(entry.name) and entry.is_file() for entry in folder.iterdir())


def _chosen_groups(groups: dict[str, str], split: str) -> list[str]:
    chosen = [group for group, held in groups.items() if split in (held, ALL)]
    if not chosen:
        raise unknown_split("imagefolder", split, (*groups.values(), ALL))
    return chosen


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(name for name in names if not name.startswith("."))


def _class_folders(folder: Path, group: str) -> list[str]:
    return [name for name in _folders(folder / group) if group or name != MASKS]


def _list_samples(folder: Path, group: str, report: Report) -> list[tuple[str, str]]:
    """Return (sample id, class) of each image of a split folder; group is empty without one."""
    samples = []
    _check_no_class_twice(folder / group, _class_folders(folder, group))
    for name in _class_folders(folder, group):
        found = _list_images(folder, folder / group / name)
        if not found:
            _check_no_loop(folder, folder / group / name)
            report(
                InputError(
                    str(folder / group / name),
                    expected="images (files with an extension such as .jpg, .png, .webp or .tif)",
                    got="none",
                    fix="add some or remove the class folder",
                )
            )
        samples += [(sample_id, name) for sample_id in found]
    return samples


def _check_no_class_twice(group: Path, names: Sequence[str]) -> None:
    """Check that no link adds the images of one class to another class."""
    owners: dict[Path, str] = {}
    for name in names:
        for parent, _ in _walk(group / name, _holders(group, group / name)):
            owner = owners.setdefault(real_path(Path(parent)), name)
            if owner != name:
                raise InputError(
                    str(group),
                    expected="images of one class each",
                    got=f"{Path(parent).relative_to(group)}, a link to a folder of {owner}",
                    fix="remove the link",
                )


def _check_no_loop(folder: Path, branch: Path) -> None:
    """Check that a class folder is not a link to a folder that contains it."""
    if real_path(branch) in _holders(folder, branch):
        raise InputError(
            str(branch),
            expected="a folder of images",
            got=f"a link to {real_path(branch)}, which contains it",
            fix="remove the link",
        )


def _list_images(folder: Path, branch: Path) -> list[str]:
    found = []
    for parent, files in sorted(_walk(branch, _holders(folder, branch))):
        prefix = Path(parent).relative_to(folder).as_posix()
        images = sorted(file for file in files if is_image_name(file))
        found += [path for path in (f"{prefix}/{file}" for file in images) if "/." not in path]
    return found


def _holders(folder: Path, branch: Path) -> set[Path]:
    """Return the real folders that contain a class folder."""
    return {real_path(folder), *real_path(folder).parents, real_path(branch.parent)}


def _walk(branch: Path, seen: set[Path]) -> Iterator[tuple[str, list[str]]]:
    """Yield every folder and its files; follow links, and visit each real folder once.

    Args:
        branch: The first folder.
        seen: Real folders to skip, such as those that contain the branch: a link to one of them
            would repeat its images.
    """
    for parent, folders, files in os.walk(branch, onerror=_refuse, followlinks=True):
        real = real_path(Path(parent))
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield parent, files


def _refuse(error: OSError) -> None:
    """Raise an error for a folder that cannot be listed; `os.walk` would skip it."""
    raise InputError(
        str(error.filename),
        expected="a readable folder",
        got=error.strerror or type(error).__name__,
        fix="restore its permissions",
    )


def _no_images(folder: Path, split: str) -> InputError:
    return AbsentError(
        str(folder),
        expected=f"images of the split {split!r}, laid out as {_LAYOUT}",
        got="none",
        fix=f"check the layout, or add images; the split {ALL!r} takes every image",
    )
