"""Copies of objects as files, and of objects with many files in pieces that are read ahead."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ectool.errors import IntegrityError
from ectool.remote import objects
from ectool.remote.index import Span
from ectool.writing import write_atomic

SIZE = 2**22
"""Bytes of a piece: the time of a request is small against that of so many bytes."""
READERS = 4
"""Number of pieces that are read at the same time."""


class Pieces:
    """Objects in pieces of a fixed size, each read once, by a thread, and kept as a file.

    An object may hold hundreds of chunks: a file for each would cost more time than its bytes.

    Args:
        base: Address that the names of objects are relative to.
        folder: Folder of the files.
        ends: Number of bytes of each object, by name.
    """

    def __init__(self, base: str, folder: Path, ends: Mapping[str, int]) -> None:
        self._base = base
        self._folder = folder
        self._ends = ends
        self._readers = ThreadPoolExecutor(READERS)
        self._files: dict[tuple[str, int], Future[Path]] = {}
        self._lock = threading.Lock()

    def start(self, place: Span) -> list[Future[Path]]:
        """Begin to read the pieces that hold some bytes; return their files, in order."""
        with self._lock:
            keys = [(place.name, number) for number in numbers(place)]
            for key in keys:
                if key not in self._files:
                    self._files[key] = self._readers.submit(self._fetch, *key)
            return [self._files[key] for key in keys]

    def read(self, place: Span) -> bytes:
        """Return some bytes of an object.

        Raises:
            IntegrityError: The object is missing or too short.
            InputError: The store refuses, or does not answer.
        """
        files = zip(numbers(place), self.start(place), strict=True)
        return b"".join(self._part(place, number, file.result()) for number, file in files)

    def forget(self) -> None:
        """Remove all files."""
        with self._lock:
            files, self._files = self._files, {}
        for file in files.values():
            if file.exception() is None:
                file.result().unlink(missing_ok=True)

    def _part(self, place: Span, number: int, file: Path) -> bytes:
        """Return the bytes that are in a piece."""
        first = number * SIZE
        start, stop = max(place.start - first, 0), min(place.start + place.size - first, SIZE)
        try:
            piece = os.open(file, os.O_RDONLY)
        except FileNotFoundError:  # another thread, or a person, has removed it
            piece = os.open(self._fetch(place.name, number), os.O_RDONLY)
        try:
            return os.pread(piece, stop - start, start)
        finally:
            os.close(piece)

    def _fetch(self, name: str, number: int) -> Path:
        """Read a piece, unless an earlier process has; return its file."""
        file = self._folder / f"{Path(name).name}.{number}"
        if not file.exists():
            url = f"{self._base}/{name}"
            start, stop = number * SIZE, min((number + 1) * SIZE, self._ends[name])
            found = objects.read_part(url, start, stop)
            store(file, complete(url, found, stop - start, start))
        return file


def numbers(place: Span) -> range:
    """Return the numbers of the pieces that hold some bytes."""
    return range(place.start // SIZE, -(-(place.start + place.size) // SIZE))


def complete(url: str, data: bytes | None, size: int, start: int = 0) -> bytes:
    """Return the bytes of an object.

    Args:
        url: Its address.
        data: The bytes from `start` on; None if there is no object.
        size: Their minimum number.
        start: The first byte.

    Raises:
        IntegrityError: It is missing or too short.
    """
    if data is not None and len(data) >= size:
        return data
    raise IntegrityError(
        url,
        expected="the object that was written",
        got="no object" if data is None else f"fewer than {start + size} bytes",
        fix="run the stage that made it again with --resume",
    )


def store(path: Path, data: bytes) -> None:
    """Write a file that is never seen incomplete, also not by another process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data, is_flushed=False)
