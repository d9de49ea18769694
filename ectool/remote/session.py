"""The folder of a process for remote artifacts, which ends with it."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path

from ectool import urls
from ectool.writing import make_private

_LOCK = "lock"


@cache
def begin() -> Path:
    """Make the folder and hold its lock; remove those of processes that were killed."""
    folder = urls.mirror()
    make_private(folder)
    for other in folder.parent.iterdir():
        if other != folder:
            _remove_dead(other)
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(_end, os.getpid())
    return folder


def _remove_dead(folder: Path) -> None:
    """Remove the folder of another process if nobody holds its lock."""
    with suppress(OSError):
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _end(owner: int) -> None:
    if os.getpid() == owner:  # not in a forked process
        shutil.rmtree(urls.mirror(), ignore_errors=True)


def kept(name: str) -> Path:
    """Return the folder of copies that later processes read again."""
    return urls.cache_folder() / "artifacts" / name
