"""Digests: canonical JSON, arrays, files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts.schema import Arrays
from ectool.input_files import open_regular


def digest_json(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """Return the SHA-256 (hex) of a value's canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_arrays(arrays: Arrays) -> str:
    """Return the SHA-256 (hex) of arrays' names, kinds, shapes and little-endian bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        kind, body = _content(arrays[name])
        digest.update(array_header(name, kind, arrays[name].shape))
        digest.update(body)
    return digest.hexdigest()


def digest_each(arrays: Arrays) -> dict[str, str]:
    """Return the `digest_arrays` of each array alone, by name."""
    return {name: digest_arrays({name: values}) for name, values in sorted(arrays.items())}


def array_header(name: str, kind: str, shape: tuple[int, ...]) -> bytes:
    """Return the part of a digest before the bytes of an array.

    Args:
        name: Name of the array.
        kind: numpy's name of its little-endian type, or `text`.
        shape: Its shape.
    """
    return f"{name}|{kind}|{shape}|".encode()


def _content(array: np.ndarray[Any, Any]) -> tuple[str, bytes | memoryview]:
    """Return an array's kind and its bytes, the same on every machine."""
    if array.dtype.kind in "TOU":
        return "text", "\0".join(map(str, array.tolist())).encode()
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return little.dtype.str, little.reshape(-1).view(np.uint8).data


def digest_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
