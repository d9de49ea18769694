"""Files and folders that are made safely: complete or missing, under names that nobody can guess.

Whoever can write into the folder of an output, as anybody can into `/tmp`, could prepare a link
under a name that is known before. Here, a new file has a random name and must not exist; its mode
follows the umask.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import IO

TEMPORARY = ".tmp"
"""Suffix of unfinished files and folders; a killed process may leave one behind."""
TOKEN = 8
"""Random bytes in the name of an unfinished file."""
LONGEST = 200
"""Bytes of the final name in that of an unfinished file."""
MODE, PRIVATE = 0o666, 0o700
_UNFINISHED = re.compile(rf"(.*)\.[0-9a-f]{{{2 * TOKEN}}}{re.escape(TEMPORARY)}", re.DOTALL)


def create(path: Path) -> io.FileIO:
    """Create a file for reading and writing, without a buffer.

    Raises:
        FileExistsError: Something exists at the path, also a link to nothing.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return io.FileIO(os.open(path, flags, MODE), "r+")


def temporary(path: Path) -> Path:
    """Return a random name in the folder of a file that is not complete yet."""
    return path.with_name(f"{_beginning(path.name)}.{token_hex(TOKEN)}{TEMPORARY}")


def _beginning(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:LONGEST])


@contextmanager
def written(path: Path, *, is_flushed: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes its name when the block has ended; leave none on an error.

    A link at the path is replaced, and what it points to stays.

    Args:
        path: Its final path.
        is_flushed: Whether its bytes are on the disk before it takes its name.
    """
    unfinished = temporary(path)
    try:
        with io.BufferedRandom(create(unfinished)) as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # see `remove_unfinished`
            yield file
            file.flush()
            if is_flushed:
                os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(path)  # for the message: a full disk is not told by the name
        raise


def write_atomic(path: Path, data: bytes, *, is_flushed: bool = True) -> None:
    """Write a file that is never seen incomplete; leave none on an error.

    Args:
        path: The file; a link there is replaced.
        data: Its content.
        is_flushed: Whether it is on the disk before it takes its name.
    """
    with written(path, is_flushed=is_flushed) as file:
        file.write(data)


def remove_unfinished(folder: Path, names: Iterable[str] | None = None) -> None:
    """Remove unfinished files of killed processes in a folder; those of others at work stay.

    Args:
        folder: The folder.
        names: Final names of the files; all unless given.
    """
    wanted = None if names is None else {_beginning(name) for name in names}
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            found = _UNFINISHED.fullmatch(entry.name)
            if found and (wanted is None or found[1] in wanted):
                _remove_dead(folder / entry.name)


def _remove_dead(path: Path) -> None:
    with suppress(OSError):
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(number)


def make_private(folder: Path) -> None:
    """Create a folder and its missing parents for this user alone (mode 0700)."""
    for one in reversed((folder, *folder.parents)):
        if not one.exists():
            one.mkdir(mode=PRIVATE, exist_ok=True)
