"""Locks of processes that write one artifact together; they end with the process in any case.

A file system that several machines share must support `flock`, as NFS 4 and Lustre (`-o flock`) do.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.jobs import writers
from ectool.config.parts import Part

_PART, _RANKS, _CREATING = f"{files.LOCK_FILE}-part-", f"{files.LOCK_FILE}-ranks", "lock-creating"
PATIENCE, LOOK = 10.0, 0.1
"""Seconds to wait for the end of processes whose first one was killed, and between two looks."""


@contextmanager
def creating(folder: Path) -> Iterator[None]:
    """Hold the lock for what is written once: groups, arrays, notes. Wait for it if necessary."""
    with _opened(folder / _CREATING) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def sharing(folder: Path, output: Path, part: Part) -> Iterator[None]:
    """Create a folder and hold the lock of a part, beside the other parts.

    Raises:
        BusyOutputError: A process writes the same part, or everything, or another number of parts.
    """
    name = f"{_PART}{part.count}-{part.number}"
    with writers.held(output, shared=True):
        writers.make_own(folder)
        for lock in (name, _CREATING):
            files.clear(folder / lock)
        with _opened(folder / name) as own:
            if not is_held(own):
                raise writers.busy(output, writers.read_owner(own))
            if _others(folder, part):
                raise writers.busy(output)
            writers.sign(own)
            yield


def _others(folder: Path, part: Part) -> list[Path]:
    """Return the locks of parts of another number that a process holds."""
    same = f"{_PART}{part.count}-"
    paths = [path for path in folder.glob(f"{_PART}*") if not path.name.startswith(same)]
    return [path for path in paths if not _is_free(path)]


def _is_free(path: Path) -> bool:
    with _opened(path) as lock:
        return is_held(lock)


@contextmanager
def following(folder: Path, output: Path, part: Part | None) -> Iterator[None]:
    """Hold the lock of a rank that writes beside rank 0.

    Raises:
        BusyOutputError: The folder belongs to another job by now.
    """
    with _opened(_ranks(folder, part)) as lock:
        if not is_held(lock, shared=True):
            raise writers.busy(output)
        yield


def wait_for_followers(folder: Path, output: Path, part: Part | None = None) -> None:
    """Wait until no rank of an earlier job writes: those of a killed launcher end soon.

    Raises:
        BusyOutputError: One is still at work.
    """
    path = _ranks(folder, part)
    if not _within(PATIENCE, lambda: not path.exists() or _is_free(path)):
        raise writers.busy(output)


def _ranks(folder: Path, part: Part | None) -> Path:
    return folder / (_RANKS if part is None else f"{_RANKS}-{part.count}-{part.number}")


def _within(seconds: float, is_so: Callable[[], bool]) -> bool:
    """Return whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(LOOK)
    return found


@contextmanager
def whole(folder: Path, output: Path) -> Iterator[None]:
    """Hold the lock of everything in a folder that exists, and leave the folder as it is.

    Raises:
        BusyOutputError: A process writes a part, or everything.
    """
    with writers.held(output):
        wait_for_followers(folder, output)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    lock = writers.open_lock(path)
    try:
        yield lock
    finally:
        os.close(lock)


def is_held(lock: int, *, shared: bool = False) -> bool:
    """Try to lock an open file; return False for one that its last owner has removed.

    Args:
        lock: Its descriptor.
        shared: Whether others may hold it, too.
    """
    return writers.try_lock(lock, shared=shared) and os.fstat(lock).st_nlink > 0
