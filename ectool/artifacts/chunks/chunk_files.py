"""Files of chunks: their names in the folder of an array, and how they are opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ectool.artifacts.chunks.seal import ChunkError
from ectool.artifacts.guard.within import OutsideError, open_within
from ectool.remote.reading import need


def chunk_key(number: int, axes: int) -> str:
    """Return the path of a chunk of whole rows in the folder of its array.

    Args:
        number: Its number.
        axes: Number of dimensions of the array.
    """
    return "/".join(("c", str(number), *("0",) * (axes - 1)))


@contextmanager
def opened(folder: Path, key: str, number: int) -> Iterator[int]:
    """Yield a descriptor of a chunk, which is fetched if it lies in a remote store.

    Args:
        folder: Folder of the array.
        key: Path of the chunk in it.
        number: Number of the chunk, for errors.

    Raises:
        ChunkError: It is missing, or a link out of the folder.
    """
    path = folder / key
    if not (path.exists() or need(path)):
        raise ChunkError(number, "is missing")
    try:
        file = open_within(folder, path)
    except OutsideError as error:
        raise ChunkError(number, f"cannot be read: {error}") from None
    try:
        yield file
    finally:
        os.close(file)
