"""One writer of an output at a time; the next one is told which process that is.

The lock is a file beside the output, `NAME.partial-lock`, and it ends with its process in any case.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ectool import writing
from ectool.artifacts import files
from ectool.errors import BusyOutputError, InputError

SUFFIX = f"{files.UNFINISHED}lock"
PATIENCE, LOOK = 1.0, 0.005
"""Seconds to wait until a process that has just taken a lock tells who it is, and between looks."""
SHOWN = 120
"""Maximum number of characters of a command line in a message."""
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}
SMALL = 4096
_own: set[tuple[int, int, Path]] = set()
"""Process, thread and path of the locks that are held here."""


@contextmanager
def held(output: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an output, and remove what killed writers of it have left.

    Where nothing can be written, nothing has to be locked. A thread may hold a lock twice, but
    not `exclusive`.

    Args:
        output: A file or folder.
        shared: Whether others may hold it in the same way, each for its part.

    Raises:
        BusyOutputError: Another process holds it.
        InputError: Its folder cannot be made, or the name of the lock is taken.
    """
    me = _me(output)
    if me in _own:
        yield
        return
    made = _make_folder(output.parent)
    try:
        lock = _take(output, shared=shared)
        _own.add(me)
        try:
            if lock is not None and not shared:
                _remove_left(output)
            yield
        finally:
            _own.remove(me)
            if lock is not None:
                _release(lock, lock_of(output))
    except BaseException:
        for folder in made:
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise


def _remove_left(output: Path) -> None:
    """Remove what killed writers of an output have left, but for results."""
    writing.remove_unfinished(output.parent, (output.name,))
    writing.remove_unfinished(output)
    files.remove(output.with_name(output.name + files.REPAIRING))


def remove_rest(output: Path, *folders: Path) -> None:
    """Remove what a killed writer of a finished output has left: its lock, and these folders.

    Where a process writes the output again, something else has the name of the lock, or nothing
    can be written, all of it stays.
    """
    repairing = output.with_name(output.name + files.REPAIRING)
    if any(os.path.lexists(path) for path in (lock_of(output), repairing, *folders)):
        with suppress(InputError, BusyOutputError, OSError), held(output):
            for folder in folders:
                files.remove_with_last(folder, files.JOB_FILE)


def _me(output: Path) -> tuple[int, int, Path]:
    return os.getpid(), threading.get_ident(), output.absolute()


def lock_of(output: Path) -> Path:
    """Return the path of the lock of an output."""
    return output.with_name(output.name + SUFFIX)


def _make_folder(folder: Path) -> list[Path]:
    """Create a folder; return the folders that did not exist, the innermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    files.make_folder(folder)
    return missing


def _take(output: Path, *, shared: bool) -> int | None:
    """Return the descriptor of a lock that is held; None where nothing can be written."""
    path, end = lock_of(output), time.monotonic() + PATIENCE
    while True:
        try:
            lock = open_lock(path)
        except OSError as error:
            if error.errno in READ_ONLY:
                return None
            raise
        if try_lock(lock, shared=shared):
            if _is_at(lock, path):
                sign(lock)
                return lock
            os.close(lock)  # its last holder has removed it
            continue
        who = read_owner(lock)
        os.close(lock)
        if who or time.monotonic() > end:
            raise busy(output, who)
        time.sleep(LOOK)


def open_lock(path: Path) -> int:
    """Open a lock, and leave its content as it is.

    Raises:
        InputError: It is a link, or no file.
    """
    flags = os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            lock = os.open(path, os.O_RDWR | flags, writing.MODE)
        except PermissionError:  # of another user
            lock = os.open(path, os.O_RDONLY | flags & ~os.O_CREAT)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_lock(path) from error
        raise
    found = os.fstat(lock)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(lock)
        raise _no_lock(path)
    return lock


def _no_lock(path: Path) -> InputError:
    return InputError(
        str(path), expected="a file of ectool", got="a link or another thing", fix="remove it"
    )


def try_lock(lock: int, *, shared: bool = False) -> bool:
    """Return whether a lock could be taken, without waiting."""
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(lock: int, path: Path) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _release(lock: int, path: Path) -> None:
    """Let a lock go; the last holder removes the file."""
    with suppress(OSError):
        if try_lock(lock) and _is_at(lock, path):
            path.unlink()
    os.close(lock)


def sign(lock: int) -> None:
    """Write into a lock who holds it."""
    words = [Path(sys.argv[0]).name if sys.argv else "", *sys.argv[1:]]
    found = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(words)[:SHOWN],
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
    with suppress(OSError):  # a full disk: the lock holds without it
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(found).encode(errors="surrogateescape"), 0)


def read_owner(lock: int) -> str:
    """Return who holds a lock, in words; empty if it does not tell yet."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(os.pread(lock, SMALL, 0))
        pid, host = int(found["pid"]), str(found["host"])
        if host == socket.gethostname() and not Path(f"/proc/{pid}").exists():
            return ""  # a killed one, whose lock another process has taken at this moment
        command = str(found["command"])[:SHOWN]
        return f"process {pid} on {host} since {found['since']} ({command})"
    return ""


def busy(output: Path, who: str = "") -> BusyOutputError:
    """Return the error for an output that another process writes."""
    return BusyOutputError(
        str(output),
        expected="one process writing it",
        got=who or "another one at work",
        fix="wait for it, or choose another output",
    )


@contextmanager
def exclusive(folder: Path, output: Path) -> Iterator[None]:
    """Create the folder of an unfinished output and hold the lock of the output.

    A block that fails before anything was computed leaves no folder behind.

    Raises:
        BusyOutputError: Another process, or this thread, holds it.
        InputError: The folder cannot be made, or belongs to somebody else.
    """
    if _me(output) in _own:
        raise busy(output)
    with held(output):
        make_own(folder)
        try:
            yield
        except BaseException:
            with suppress(OSError):  # the error that ended the block is the one to tell
                if not any(_has_results(path) for path in folder.rglob("*")):
                    files.remove(folder)
            raise


def _has_results(path: Path) -> bool:
    """Return whether a file of an unfinished output contains results."""
    is_lock = path.name.startswith(files.LOCK_FILE)
    return path.is_file() and path.name not in files.NOTES and not is_lock


def make_own(folder: Path) -> None:
    """Create the folder of an unfinished output, or take one of an earlier process.

    In a folder where anybody may write, as in `/tmp`, it must not be of somebody else.

    Raises:
        InputError: It cannot be made, is a link, or belongs to somebody else.
    """
    if folder.is_file() and not folder.is_symlink():
        files.remove(folder)
    files.make_folder(folder)
    found, above = folder.lstat(), folder.parent.stat()
    is_open = above.st_mode & stat.S_ISVTX and above.st_mode & stat.S_IWOTH
    is_ours = found.st_uid in (os.geteuid(), above.st_uid)
    if stat.S_ISLNK(found.st_mode) or (is_open and not is_ours):
        raise InputError(
            str(folder),
            expected="a folder of this user",
            got="a link" if stat.S_ISLNK(found.st_mode) else f"one of user {found.st_uid}",
            fix="remove it, or choose another output",
        )
