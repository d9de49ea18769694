"""The digest of a whole HDF5 file, in a line after its end, which HDF5 readers ignore.

HDF5 has bytes that no array and no attribute covers, such as free space. Programs that change the
file cut the line off: then only its contents can be compared.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import IO, Literal

from ectool.input_files import HDF5_SIGNATURE, open_regular

_LINE = b"\nectool sha256 %b\n"
_SIZE = len(_LINE % (b"0" * 64))
_PATTERN = re.compile(rb"\nectool sha256 ([0-9a-f]{64})\n")
_BLOCK = 2**20
_VERSION, _END = 8, slice(40, 48)
"""Where the superblock of version 0 has its version and the end of the file."""

Ending = Literal["same", "changed", "missing"]


def append(path: Path) -> None:
    """Write the line at the end of a finished file."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0, os.SEEK_END)
        file.write(_LINE % digest.encode())


def ending(path: Path) -> Ending:
    """Return whether a file is the one that was written.

    Returns:
        `missing` if no digest follows the end that the file declares.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        last = os.pread(file.fileno(), _SIZE, max(0, size - _SIZE))
        found = _PATTERN.fullmatch(last)
        if found is None:
            return "missing" if _declared(file) in (None, size) else "changed"
        return "same" if _digest(file, size - _SIZE) == found[1].decode() else "changed"


def _declared(file: IO[bytes]) -> int | None:
    """Return the size that the file declares; None for other versions of the superblock."""
    head = os.pread(file.fileno(), _END.stop, 0)
    if not head.startswith(HDF5_SIGNATURE) or head[_VERSION : _VERSION + 1] != b"\0":
        return None
    return int.from_bytes(head[_END], "little")


def _digest(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 (hex) of the first bytes of a file."""
    digest = hashlib.sha256()
    while size and (block := file.read(min(size, _BLOCK))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()
