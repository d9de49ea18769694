"""Files of a folder that lie in it: links that lead out are not followed, pipes not opened."""

from __future__ import annotations

import os
import stat
from functools import lru_cache
from pathlib import Path

_OWN = "/proc/self/fd"
_HAS_OWN = Path(_OWN).is_dir()
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class OutsideError(ValueError):
    """A file of a folder is a link out of it, or no regular file."""


def _real(folder: Path) -> str:
    return os.path.realpath(folder) + "/"


@lru_cache(maxsize=256)
def _known(folder: Path) -> str:
    """Return where a folder was when it was first read; a link to it may change."""
    return _real(folder)


def open_within(folder: Path, file: Path) -> int:
    """Return a descriptor of a file in a folder.

    Raises:
        FileNotFoundError: It does not exist.
        OutsideError: It lies elsewhere, or is no regular file.
    """
    found = os.open(file, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise OutsideError(f"{file.name} is no regular file")
        # One call, where `realpath` needs one for each part of the path.
        place = os.readlink(f"{_OWN}/{found}") if _HAS_OWN else os.path.realpath(file)  # noqa: PTH115
        if not place.startswith(_known(folder.absolute())) and not place.startswith(_real(folder)):
            raise OutsideError("a link out of the folder, which is not followed")
    except BaseException:
        os.close(found)
        raise
    return found


def read_within(folder: Path, file: Path) -> bytes:
    """Return the bytes of a file in a folder.

    Raises:
        FileNotFoundError, OutsideError: As of `open_within`.
    """
    opened = open_within(folder, file)
    try:
        wanted = os.fstat(opened).st_size
        data = os.pread(opened, wanted, 0)
    finally:
        os.close(opened)
    if len(data) != wanted:
        raise OSError(f"{file.name} cannot be read as a whole")
    return data
