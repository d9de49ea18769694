"""Files and folders of outputs: flushed, published, moved aside, removed."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from contextlib import suppress
from pathlib import Path

from ectool.errors import FinishedMeanwhileError, InputError
from ectool.input_files import real_path

WITHOUT_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}
"""Errors of file systems that have no hard links."""


def fsync(path: Path) -> None:
    """Flush one file or folder entry to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(root: Path) -> None:
    """Flush everything under a folder, or a single file, to the disk."""
    if root.is_dir():
        for path in sorted(root.rglob("*")):
            fsync(path)
    fsync(root)


def make_folder(path: Path) -> None:
    """Create a folder and its parents, unless they exist.

    Raises:
        InputError: The file system does not allow it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            str(path.parent),
            expected="a folder to write into",
            got=error.strerror or type(error).__name__,
            fix="choose another output",
        ) from None


def publish(source: Path, target: Path) -> None:
    """Move a finished output to its final name and flush it to the disk.

    Raises:
        FinishedMeanwhileError: Another process has written the target in the meantime.
    """
    fsync_tree(source)
    try:
        _move(source, target)
    except OSError as error:
        if not os.path.lexists(target):
            raise
        raise finished_meanwhile(target) from error
    fsync(target.parent)


def _move(source: Path, target: Path) -> None:
    """Rename a file or folder, but never over another one, also not one of this moment."""
    if os.path.lexists(target):
        raise FileExistsError(target)
    if source.is_dir():
        source.rename(target)  # the system renames no folder over a file or a folder with files
        return
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        source.rename(target)
    else:
        source.unlink()


def finished_meanwhile(target: Path) -> FinishedMeanwhileError:
    """Return the error for an output that another process has published."""
    return FinishedMeanwhileError(
        str(target),
        expected="nothing there yet",
        got="the output of another process",
        fix="run the same command again",
    )


def move_aside(path: Path, tag: str) -> Path:
    """Rename an output to a free name in its folder and return that name."""
    aside = path.with_name(f"{path.name}.old-{tag[:8]}")
    count = 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.old-{tag[:8]}-{count}")
    path.replace(aside)
    return aside


def remove(path: Path) -> None:
    """Remove a file or folder if it exists, also while another process removes it.

    A folder that cannot be read or written is removed, too.
    """
    while os.path.lexists(path):
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                _remove_tree(path)
            else:
                path.unlink()


def _remove_tree(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except PermissionError:
        for folder, _, _ in os.walk(path):
            Path(folder).chmod(0o700)
            for inner in Path(folder).iterdir():
                if inner.is_dir() and not inner.is_symlink():
                    inner.chmod(0o700)
        shutil.rmtree(path)


def remove_with_last(path: Path, last: str) -> None:
    """Remove a folder, and of its files one last, so that it tells what the folder was."""
    if path.is_dir() and not path.is_symlink():
        for inner in sorted(path.iterdir()):
            if inner.name != last:
                remove(inner)
    remove(path)


def as_folder(path: Path) -> None:
    """Create a folder and its parents, and remove what is no folder in its place.

    Raises:
        InputError: The file system does not allow it.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        remove(path)
    make_folder(path)


def check_inside(folder: Path) -> None:
    """Check that what is written into the folders below a folder stays there.

    Artifacts are not looked into: they are never written through links.

    Raises:
        InputError: A folder below is a link to one that lies elsewhere.
    """
    root = real_path(folder)
    for parent, names, _ in os.walk(folder):
        names[:] = [name for name in names if Path(name).suffix != ".zarr"]
        for path in (Path(parent, name) for name in names):
            if path.is_symlink() and not real_path(path).is_relative_to(root):
                raise InputError(
                    str(path),
                    expected=f"a folder in {folder}",
                    got=f"a link to {real_path(path)}",
                    fix="remove the link, or move the folder here",
                )


def clear(path: Path) -> None:
    """Remove what is no file in the place of one."""
    if path.is_symlink() or not path.is_file():
        remove(path)


STORE = "store"
"""Folder of an unfinished folder artifact that is published in the end."""
UNFINISHED = ".partial-"
"""Before the beginning of the key, in the name of the folder of an unfinished output."""
REPAIRING = f"{UNFINISHED}repair"
"""End of the name of the folder in which a damaged output is written anew."""
LOCK_FILE, VERSIONS_FILE, MACHINE_FILE = "lock", "versions.json", "machine.json"
FINDINGS_FILE = "findings.json"
JOB_FILE = "job.json"
ARRAYS_FILE, OWN_FILE = "arrays.json", "own.json"
NOTES = {VERSIONS_FILE, MACHINE_FILE, FINDINGS_FILE, JOB_FILE, ARRAYS_FILE}
"""Files of an unfinished output that contain no results, besides its locks."""


def unfinished_of(output: Path) -> list[Path]:
    """Return what writers have beside an output: its lock, and folders."""
    return sorted(output.parent.glob(f"{glob.escape(output.name)}{UNFINISHED}*"))
