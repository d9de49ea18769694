"""Files from outside: only regular files are opened, and no more is read than their kind allows.

Every reader of a file that somebody else may have written goes through this module. A named pipe
would block it for ever, a device may have no end, and a document of some gigabytes needs many times
its size in memory once it is parsed.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from ectool.errors import InputError

MIB = 2**20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Opening waits for nothing, if a file is replaced by a named pipe in the meantime."""
_IRREGULAR = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class FileKind:
    """What a file is read as.

    Attributes:
        name: With its article, for messages.
        max_bytes: Maximum size; None for files that are never read as a whole.
    """

    name: str
    max_bytes: int | None = None


ANY = FileKind("a regular file")
TOML = FileKind("a TOML file", 4 * MIB)
"""tomllib reads about a megabyte in a second."""
JSON = FileKind("a JSON file", 32 * MIB)
"""A document of empty lists takes twenty times its size in memory."""
XML = FileKind("an XML file", 4 * MIB)
TEXT = FileKind("a text file", 16 * MIB)
"""Its words take up to thirty times their size."""
CSV = FileKind("a CSV file", 512 * MIB)
"""Rows are read one by one."""
ARRAY = FileKind("an array of numbers", 64 * MIB)
TABLE = FileKind("a table of measurements", 1024 * MIB)
DATA = FileKind("a file of a published data set", 512 * MIB)
CODE = FileKind("a module", 16 * MIB)
IMAGE = FileKind("an image", 1024 * MIB)
"""Pixels are read as they are decoded."""
HDF5 = FileKind("an HDF5 file")
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""First bytes of an HDF5 file, or of what follows the part that a user may put before it."""


def real_path(path: Path) -> Path:
    """Return an absolute path without links; links in a circle stay.

    Before Python 3.13, `Path.resolve` raises a RuntimeError for those.
    """
    return Path(os.path.realpath(path))


def check_regular(path: Path, kind: FileKind = ANY) -> os.stat_result:
    """Check a file before a library opens it by its path; links are followed.

    Args:
        path: The file.
        kind: What it is read as.

    Returns:
        Its status.

    Raises:
        InputError: It is a named pipe, a socket or a device, or larger than its kind allows.
        OSError: It is missing, is a folder, or is not accessible.
    """
    found = Path(path).stat()
    _check(found, path, kind)
    return found


def open_regular(path: Path, kind: FileKind = ANY) -> BufferedReader:
    """Open a regular file for reading; anything else is refused without opening it.

    Args:
        path: The file; links are followed.
        kind: What it is read as.

    Returns:
        The open file, in binary mode.

    Raises:
        InputError, OSError: As :func:`check_regular`.
    """
    return os.fdopen(_descriptor(path, kind), "rb")


def read_bytes(path: Path, kind: FileKind) -> bytes:
    """Return the contents of a file, and never more than its kind allows.

    Args:
        path: The file; links are followed.
        kind: What it is read as.

    Raises:
        InputError, OSError: As :func:`check_regular`.
    """
    descriptor = _descriptor(path, kind)
    try:
        return _read(descriptor, path, kind)
    finally:
        os.close(descriptor)


def read_text(path: Path, kind: FileKind, encoding: str = "utf-8") -> str:
    """Return the text of a file, and never more than its kind allows.

    Args:
        path: The file; links are followed.
        kind: What it is read as.
        encoding: As `bytes.decode`; ``utf-8-sig`` accepts a byte order mark.

    Raises:
        InputError, OSError: As :func:`check_regular`.
        UnicodeDecodeError: It has another encoding.
    """
    return read_bytes(path, kind).decode(encoding)


def _descriptor(path: Path, kind: FileKind) -> int:
    """Return the descriptor of a regular file; the caller closes it."""
    check_regular(path, kind)  # before: opening alone wakes a writer of a pipe, or moves a tape
    descriptor = os.open(path, _FLAGS)
    try:
        _check(os.fstat(descriptor), path, kind)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(found: os.stat_result, path: Path, kind: FileKind) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    irregular = _IRREGULAR.get(stat.S_IFMT(found.st_mode))
    if irregular is not None:
        raise InputError(
            str(path),
            expected=kind.name,
            got=irregular,
            fix="give a regular file; save what a program writes first",
        )
    if kind.max_bytes is not None and found.st_size > kind.max_bytes:
        raise _too_large(path, kind, f"{found.st_size:,} bytes")


def _read(descriptor: int, path: Path, kind: FileKind) -> bytes:
    """Read a file to its end; files of /proc have more than their size says."""
    limit = kind.max_bytes
    wanted = os.fstat(descriptor).st_size + 1  # one more than there is: the end, in one call
    parts, total = [], 0
    while part := os.read(descriptor, max(wanted - total, 2**16)):
        parts.append(part)
        total += len(part)
        if limit is not None and total > limit:
            raise _too_large(path, kind, "more")
        if total == wanted - 1:
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(path: Path, kind: FileKind, got: str) -> InputError:
    return InputError(
        str(path),
        expected=f"{kind.name} of at most {kind.max_bytes:,} bytes",
        got=got,
        fix="check the file: this is larger than any that is meant",
    )
