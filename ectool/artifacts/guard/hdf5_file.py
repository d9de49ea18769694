"""What an HDF5 file has, found by HDF5 in a child process: damaged files crash it."""

from __future__ import annotations

import itertools
import json
import os
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ectool.artifacts.guard.bounds import BLOCK_ROWS, SHORT_TEXT, real_bytes
from ectool.artifacts.guard.child import LONG, in_child
from ectool.artifacts.guard.hdf5_nodes import ManyError, nodes_of
from ectool.errors import InputError, IntegrityError
from ectool.input_files import HDF5, HDF5_SIGNATURE, open_regular

MANIFEST = "manifest"
"""Root attribute with the JSON of the manifest."""
MAX_ATTRIBUTES = 10_000
SHORT_ROWS = 2**17
"""Maximum number of texts that are read together with the description."""
_FIRST_BLOCK = 512
Values = np.ndarray[Any, Any]


def opened(path: Path) -> int:
    """Return a descriptor of an HDF5 file.

    Raises:
        InputError: It is no HDF5 file.
    """
    got = "a folder"
    with suppress(IsADirectoryError), open_regular(path, HDF5) as file:
        got = "another file"
        if _is_signed(file.fileno(), os.fstat(file.fileno()).st_size):
            return os.dup(file.fileno())
    raise InputError(str(path), expected="an HDF5 file", got=got, fix="check the path")


def _is_signed(file: int, size: int) -> bool:
    """Return whether HDF5's signature stands at a place where it may."""
    place = 0  # then 512, 1024, 2048, …
    while place < size:
        if os.pread(file, len(HDF5_SIGNATURE), place) == HDF5_SIGNATURE:
            return True
        place = 2 * place or _FIRST_BLOCK
    return False


def description(path: Path, file: int) -> dict[str, Any]:
    """Return `attributes`, `arrays`, short `texts` and `unreadable` objects of an HDF5 file.

    Args:
        path: The file.
        file: A descriptor of it.

    Raises:
        InputError: It has too many objects.
        IntegrityError: It is damaged.
    """
    found = os.fstat(file)
    try:
        state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        text = _described(path, real_bytes(found), state)
    except OSError as error:
        raise IntegrityError(
            str(path),
            expected="a whole HDF5 file",
            got=str(error).splitlines()[0],
            fix="copy it again, or run the stage that made it again",
        ) from None
    described: dict[str, Any] = json.loads(text)
    if fault := described.get("fault"):
        raise InputError(
            str(path),
            expected="an artifact",
            got=fault,
            fix="write it as docs/artifacts.md describes",
        )
    return described


@lru_cache(maxsize=16)
def _described(path: Path, size: int, _state: tuple[int, ...]) -> bytes:
    """Return the description of a file in this state as JSON."""

    def describe() -> bytes:
        with h5py.File(path, "r") as file:
            try:
                nodes = nodes_of(file, size)
                found: dict[str, Any] = {
                    "attributes": _attributes(file),
                    "arrays": nodes.arrays,
                    "texts": _short_texts(file, nodes.arrays, size),
                    "unreadable": nodes.unreadable,
                }
            except ManyError as error:
                found = {"fault": str(error)}
        return json.dumps(found).encode()

    return in_child(describe)


def _attributes(file: h5py.File) -> dict[str, Any]:
    """Return the root attributes that JSON can represent: no references, none without value."""
    found: dict[str, Any] = {}
    if len(file.attrs) > MAX_ATTRIBUTES:
        raise ManyError(f"more than {MAX_ATTRIBUTES} attributes")
    for name in file.attrs:
        try:
            value = _plain(file.attrs[name])
            json.dumps(value)
        except (KeyError, OSError, RuntimeError, TypeError, ValueError):
            if name == MANIFEST:  # without it, nothing would be compared
                raise
            continue
        found[name] = value
    return found


def _plain(value: object) -> object:
    """Return an attribute as a JSON value; HDF5 returns numpy numbers, and text as bytes."""
    value = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


def _short_texts(
    file: h5py.File, arrays: dict[str, dict[str, Any]], size: int
) -> dict[str, list[str]]:
    """Return text of varying length that is not long, because another child costs more.

    Bytes become characters one by one: they may be no UTF-8.
    """
    found = {}
    for name, array in arrays.items():
        shape = array["shape"]
        if array["dtype"] == "object" and len(shape) == 1 and shape[0] <= SHORT_ROWS:
            with suppress(OSError, RuntimeError, ValueError):  # told when it is read
                texts = _texts(file[name], 0, shape[0], size)
                found[name] = [text.decode("latin-1") for text in texts]
    return found


def read_texts(path: Path, name: str, found: dict[str, Any]) -> Values:
    """Return text of varying length, as bytes.

    Args:
        path: The file.
        name: Path of the array.
        found: Description of the file.

    Raises:
        OSError: They are damaged, or HDF5 crashes.
    """
    shape = found["arrays"][name]["shape"]
    if name in found["texts"]:
        texts = [text.encode("latin-1") for text in found["texts"][name]]
    else:

        def read() -> bytes:
            with h5py.File(path, "r") as file:
                rows = shape[0] if shape else 1
                return _joined(_texts(file[name], 0, rows, path.stat().st_size))

        texts = _parted(in_child(read, seconds=LONG))
    values = np.empty(len(texts), object)
    values[:] = texts
    return values.reshape(shape)


def _texts(array: h5py.Dataset, start: int, stop: int, size: int) -> list[bytes]:
    """Return text block by block: many rows may share one long text."""
    texts: list[bytes] = []
    total = 0
    for first in range(start, stop, BLOCK_ROWS):
        block = array[first : first + BLOCK_ROWS] if array.shape else array[()]
        found = np.asarray(block, object).reshape(-1).tolist()
        total += sum(map(len, found))
        if total > size + SHORT_TEXT:
            raise OSError("more text than the file has bytes")
        texts += found
    return texts


def _joined(texts: list[bytes]) -> bytes:
    return json.dumps([len(text) for text in texts]).encode() + b"\n" + b"".join(texts)


def _parted(data: bytes) -> list[bytes]:
    head, body = data.split(b"\n", 1)
    ends = np.cumsum([0, *json.loads(head)]).tolist()
    return [body[first:last] for first, last in itertools.pairwise(ends)]


def read_rows(path: Path, name: str, start: int, stop: int) -> Values:
    """Return rows of an array of numbers, or of text of fixed length, that HDF5 must decode.

    Raises:
        OSError: They are damaged, or HDF5 crashes.
    """

    def read() -> bytes:
        with h5py.File(path, "r") as file:
            array = file[name]
            values = np.asarray(array[start:stop] if array.shape else array[()])
        return json.dumps([values.dtype.str, values.shape]).encode() + b"\n" + values.tobytes()

    head, body = in_child(read, seconds=LONG).split(b"\n", 1)
    code, shape = json.loads(head)
    return np.frombuffer(bytearray(body), code).reshape(shape)
