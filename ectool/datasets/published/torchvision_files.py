"""Files that torchvision reads by itself, checked before: regular, and bounded in memory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from ectool.datasets.formats import is_image_name
from ectool.errors import InputError
from ectool.input_files import DATA, MIB, check_regular, open_regular

DEPTH = 2
"""Folders below that of a data set that contain lists of images."""
MAX_MATLAB = 512 * MIB
"""Bytes of the arrays of a MATLAB file."""
_HEADER = 128
_COMPRESSED = 15
_BLOCK = MIB
_ARCHIVES = (".gz", ".tar", ".tgz", ".zip", ".bz2")
"""Files from which a data set was unpacked, which torchvision does not read again."""


def check_files(folder: Path) -> None:
    """Check the files of a data set that are not images.

    Args:
        folder: Its folder; if it does not exist, nothing is checked.

    Raises:
        InputError: One is a named pipe, a socket or a device, is larger than any list or array of
            these data sets, or contains arrays that are.
    """
    for path in _files(folder, DEPTH):
        check_regular(path, DATA)
        if path.suffix == ".mat":
            check_matlab(path)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the files in a folder, and in those below it, that are neither images nor archives."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:  # reading the data set reports it
        return
    for entry in entries:
        if is_image_name(entry.name) or entry.name.endswith(_ARCHIVES):
            continue
        path = Path(entry.path)
        if entry.is_dir():
            yield from _files(path, depth - 1) if depth > 0 else ()
        elif path.exists():
            yield path


def check_matlab(path: Path, limit: int = MAX_MATLAB) -> None:
    """Check that the compressed arrays of a MATLAB file are not larger than any data set's.

    Args:
        path: A file of version 5; others have no compressed parts at these places.
        limit: Maximum number of bytes of all arrays.

    Raises:
        InputError: They are larger.
    """
    total = 0
    with open_regular(path, DATA) as file:
        order = "<" if file.read(_HEADER).endswith(b"IM") else ">"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(f"{order}II", tag)
            end = file.tell() + size
            if kind == _COMPRESSED:
                for length in _expanded(file.read(min(size, DATA.max_bytes or 0))):
                    total += length
                    if total > limit:
                        raise InputError(
                            str(path),
                            expected=f"arrays of at most {limit:,} bytes",
                            got="more",
                            fix="get the published file again",
                        )
            file.seek(end)


def _expanded(data: bytes) -> Iterator[int]:
    """Yield the lengths of the parts of compressed data, one after the other."""
    decoder = zlib.decompressobj()
    try:
        while data and not decoder.eof:
            part = decoder.decompress(data, _BLOCK)
            data = decoder.unconsumed_tail
            yield len(part)
    except zlib.error:  # damaged; reading it reports that
        return
