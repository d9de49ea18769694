"""Files that are either complete or missing: atomic writes, fsync, locks, moving aside."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ectool.errors import EctoolError, InputError, OutputExistsError

TEMPORARY = ".tmp"
"""Suffix of unfinished files and folders; a killed process may leave one behind."""


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


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is never seen incomplete; leave none on an error."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        temporary.write_bytes(data)
        fsync(temporary)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


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
        OutputExistsError: Another process has written the target in the meantime.
    """
    if target.exists():
        raise OutputExistsError(
            str(target),
            expected="nothing there yet",
            got="the output of another process",
            fix="run the same command again",
        )
    fsync_tree(source)
    source.replace(target)
    fsync(target.parent)


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
    """Remove a file or folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


UNFINISHED = ".partial-"
"""Before the beginning of the key, in the name of the folder of an unfinished output."""
LOCK_FILE, VERSIONS_FILE, MACHINE_FILE = "lock", "versions.json", "machine.json"
FINDINGS_FILE = "findings.json"
JOB_FILE = "job.json"
NOTES = {VERSIONS_FILE, MACHINE_FILE, FINDINGS_FILE, JOB_FILE}
"""Files of an unfinished output that contain no results, besides its locks."""


@contextmanager
def exclusive(folder: Path, output: Path) -> Iterator[None]:
    """Create a folder and hold its lock, which ends with the process in any case.

    A block that fails because of its input before anything was written leaves no folder behind.

    Raises:
        InputError: Another process holds it.
    """
    make_folder(folder)
    with (folder / LOCK_FILE).open("w") as lock:
        if not is_held(lock):
            raise at_work(output)
        try:
            yield
        except EctoolError:
            if not any(_has_results(path) for path in folder.rglob("*")):
                remove(folder)
            raise


def _has_results(path: Path) -> bool:
    """Return whether a file of an unfinished output contains results."""
    return path.is_file() and path.name not in NOTES and not path.name.startswith(LOCK_FILE)


def at_work(output: Path) -> InputError:
    """Return the error for an output that another process writes."""
    return InputError(
        str(output),
        expected="one process writing it",
        got="another one at work",
        fix="wait for it or choose another --output",
    )


def is_held(lock: IO[str], *, shared: bool = False) -> bool:
    """Try to lock an open file; return False for one that its last owner has removed.

    Args:
        lock: The file.
        shared: Whether others may hold it, too.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(lock.fileno()).st_nlink > 0
