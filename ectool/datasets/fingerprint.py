"""SHA-256 of the contents of a data set; unchanged files are read only once."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ectool.artifacts.hashing import digest_file
from ectool.datasets.base import Dataset
from ectool.errors import InputError
from ectool.input_files import real_path
from ectool.writing import remove_unfinished, write_atomic

_MEMO_FOLDER = ".fingerprints"
SETTLED_NS = 2_000_000_000
"""Age from which the next change of a file has another time: the resolution of coarse clocks."""

FileStats = list[tuple[str, int, int, int, int]]
"""Path, size, time of modification, time of change, and inode of each file."""


def fingerprints(datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Return the fingerprints of data sets by their names."""
    return {name: dataset.fingerprint for name, dataset in datasets.items()}


def digest_of(parts: Mapping[str, object]) -> str:
    """Return the SHA-256 (hex) of named parts; their order does not matter.

    Args:
        parts: JSON-serialisable values by name.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def content_digest(folder: Path, paths: Sequence[str], root: Path) -> str:
    """Return the SHA-256 (hex) over relative paths and contents of files.

    It does not depend on the place of the folder. The result is cached under
    ``root/.fingerprints`` by the listing of files, so unchanged files are read only once. A listing
    has the time of change and the inode, which no program can set: a file that is replaced by one
    of the same size and modification time is read again. Files that changed in the last two seconds
    or while they were read are not cached, because the next change might have the same time.

    Args:
        folder: Folder that holds the files.
        paths: POSIX paths relative to the folder; their order matters.
        root: Folder of all data sets (``ECTOOL_DATA``); nothing is cached if it is
            read-only.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: A file is missing or cannot be read.
    """
    try:
        return _cached_or_read(folder, paths, root / _MEMO_FOLDER)
    except OSError as error:
        raise InputError(
            str(error.filename or folder),
            expected="a readable file",
            got=error.strerror or type(error).__name__,
            fix="restore the file or its permissions",
        ) from error


def _cached_or_read(folder: Path, paths: Sequence[str], memo: Path) -> str:
    """Return the cached digest, or read the files and cache it."""
    began, listing = time.time_ns(), _list(folder, paths)
    note = memo / digest_of({"folder": str(real_path(folder)), "files": listing})
    known = _recall(note)
    if known is not None:
        return known
    found = _hash_contents(folder, paths)
    newest = max((changed for _, _, _, changed, _ in listing), default=0)
    if newest + SETTLED_NS <= began and _list(folder, paths) == listing:
        _remember(note, found)
    return found


def _list(folder: Path, paths: Sequence[str]) -> FileStats:
    stats = [(folder / path).stat() for path in paths]
    return [
        (path, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
        for path, s in zip(paths, stats, strict=True)
    ]


def _hash_contents(folder: Path, paths: Sequence[str]) -> str:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(lambda path: digest_file(folder / path), paths))
    return digest_of({"files": list(zip(paths, digests, strict=True))})


def _recall(note: Path) -> str | None:
    with suppress(OSError):  # missing, or not readable
        text = note.read_text("ascii", errors="replace")
        return text if re.fullmatch("[0-9a-f]{64}", text) else None
    return None


def _remember(note: Path, digest: str) -> None:
    with suppress(OSError):  # in a read-only folder nothing is cached
        note.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(note.parent)
        write_atomic(note, digest.encode(), is_flushed=False)
