"""Arrays, groups and files that users have added to an artifact."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

import h5py

from ectool.artifacts import files
from ectool.artifacts.guard.child import LONG, in_child
from ectool.artifacts.hashing import digest_file, digest_json
from ectool.artifacts.jobs.sealed import read_sealed, read_table, write_table
from ectool.artifacts.manifest import FILE_NAME
from ectool.artifacts.store import HDF5_SUFFIXES

OWN = "own"
"""Folder of an unfinished output for what users have added."""
ZARR_FILES = ("zarr.json", FILE_NAME)


def save_own(artifact: Path, ours: Collection[str], folder: Path) -> None:
    """Copy everything that users have added out of an artifact.

    Args:
        artifact: A Zarr folder or an HDF5 file.
        ours: Paths of the arrays that a stage wrote.
        folder: Target, in the same format; not created if there is nothing to copy.
    """
    if artifact.suffix in HDF5_SUFFIXES:
        in_child(lambda: _copy_nodes(artifact, folder / "own.h5", ours), seconds=LONG)
        return
    for path in _own_files(artifact, ours):
        place = folder / path.relative_to(artifact)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, place, symlinks=True)
        else:
            shutil.copy2(path, place)


def record_own(folder: Path) -> None:
    """Record the digests of the files that were saved into an unfinished output."""
    write_table(folder.parent / files.OWN_FILE, _digests(folder))


def keep_intact_own(folder: Path) -> list[str]:
    """Remove what was saved into an unfinished output and has changed since.

    Args:
        folder: Folder of the unfinished output.

    Returns:
        Paths of these files in the folder.
    """
    own, index = folder / OWN, folder / files.OWN_FILE
    known, found = read_table(index), _digests(own)
    changed = sorted(name for name, digest in known.items() if found.get(name) != digest)
    for name in {*found} - {*known} | {*changed}:
        files.remove(own / name)
    is_lost = index.exists() and read_sealed(index) is None
    return [files.OWN_FILE] if is_lost else [f"{OWN}/{name}" for name in changed]


def _digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder; of a link, of its target's path."""
    return {
        path.relative_to(folder).as_posix(): digest_json(str(path.readlink()))
        if path.is_symlink()
        else digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def restore_own(folder: Path, artifact: Path) -> None:
    """Copy everything that was saved into an artifact that was made again."""
    if not any(path.is_symlink() or path.is_file() for path in folder.rglob("*")):
        return
    if artifact.suffix not in HDF5_SUFFIXES:
        shutil.copytree(folder, artifact, symlinks=True, dirs_exist_ok=True)
        return
    in_child(lambda: _copy_nodes(folder / "own.h5", artifact, ()), seconds=LONG)


def _own_files(folder: Path, ours: Collection[str], prefix: str = "") -> list[Path]:
    """Return files and folders of a Zarr group that belong to none of `ours`."""
    found = []
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        if name in ours or path.name in ZARR_FILES:
            continue
        if any(array.startswith(name + "/") for array in ours):
            found += _own_files(path, ours, name + "/")
        else:
            found.append(path)
    return found


def _own_nodes(group: h5py.Group, ours: Collection[str], prefix: str = "") -> list[str]:
    """Return paths of datasets, groups and links of an HDF5 group that are not in `ours`."""
    found = []
    for key in group:
        name = prefix + key
        if name in ours:
            continue
        if any(array.startswith(name + "/") for array in ours):
            found += _own_nodes(group[key], ours, name + "/")
        else:
            found.append(name)
    return found


def _copy_nodes(file: Path, copy: Path, ours: Collection[str]) -> bytes:
    """Copy everything of an HDF5 file that is not in `ours`; run in a child, see `guard.child`."""
    with h5py.File(file) as source:
        for node in _own_nodes(source, ours):
            copy.parent.mkdir(parents=True, exist_ok=True)
            with h5py.File(copy, "a") as target:
                _copy_node(source, target, node)
    return b""


def _copy_node(source: h5py.File, target: h5py.File, path: str) -> None:
    """Copy a dataset or a group; copy a link unchanged, even if it is broken."""
    link = source.get(path, getlink=True)
    if isinstance(link, h5py.HardLink):
        source.copy(path, target, name=path)
    else:
        target[path] = link
