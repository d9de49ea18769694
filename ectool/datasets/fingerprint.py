"""SHA-256 of what a data set consists of, without reading unchanged files twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ectool.datasets.base import Dataset
from ectool.errors import InputError

_MEMO_FOLDER = ".fingerprints"


def fingerprints(datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Return the fingerprints of data sets by their names."""
    return {name: dataset.fingerprint for name, dataset in datasets.items()}


def digest_of(parts: Mapping[str, object]) -> str:
    """Return the SHA-256 (hex) of named parts, whatever their order.

    Args:
        parts: JSON-serialisable values by name.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def content_digest(folder: Path, paths: Sequence[str], root: Path) -> str:
    """Return the SHA-256 (hex) over relative paths and contents of files.

    It does not depend on where the folder lies. The result is remembered under
    ``root/.fingerprints`` by the listing of (path, size, modification time), so unchanged files
    are read only once; a file edited without a change of size and time goes unnoticed.

    Args:
        folder: Folder that holds the files.
        paths: POSIX paths relative to the folder, in the order that is to count.
        root: Folder of all data sets (``ECTOOL_DATA``); where it is read-only, nothing is
            remembered.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: A file is missing or cannot be read.
    """
    try:
        note = root / _MEMO_FOLDER / _listing_digest(folder, paths)
        known = _recall(note)
        if known is None:
            known = _hash_contents(folder, paths)
            _remember(note, known)
    except OSError as error:
        raise InputError(
            str(error.filename or folder),
            expected="a readable file",
            got=error.strerror or type(error).__name__,
            fix="restore the file or its permissions",
        ) from error
    return known


def _listing_digest(folder: Path, paths: Sequence[str]) -> str:
    stats = [(folder / path).stat() for path in paths]
    listing = [[p, s.st_size, s.st_mtime_ns] for p, s in zip(paths, stats, strict=True)]
    return digest_of({"folder": str(folder.resolve()), "listing": listing})


def _hash_contents(folder: Path, paths: Sequence[str]) -> str:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(lambda path: _hash_file(folder / path), paths))
    return digest_of({"files": list(zip(paths, digests, strict=True))})


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recall(note: Path) -> str | None:
    with suppress(OSError):  # nothing there, or somebody else's
        text = note.read_text("ascii", errors="replace")
        return text if re.fullmatch("[0-9a-f]{64}", text) else None
    return None


def _remember(note: Path, digest: str) -> None:
    with suppress(OSError):  # a read-only folder costs time, nothing else
        note.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as file:
            file.write(digest)
        Path(file.name).replace(note)
