"""Small files of unfinished outputs with a checksum at their end, so that a resume reads no other.

The last line is `crc32c` and eight hexadecimal digits: the CRC-32C of everything before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ectool.artifacts.chunks.seal import CHECKSUM_BYTES, checksum
from ectool.errors import IntegrityError
from ectool.writing import write_atomic

_SEAL = b"\ncrc32c "
_SEAL_BYTES = len(_SEAL) + 2 * CHECKSUM_BYTES + 1


def write_sealed(path: Path, data: bytes) -> None:
    """Write a file and its checksum, atomically."""
    write_atomic(path, data + _seal_of(data))


def read_sealed(path: Path) -> bytes | None:
    """Return the content of a file; None if it is missing, unreadable, or has changed."""
    try:
        data = path.read_bytes() if path.is_file() else b""  # a pipe would never end
    except OSError:
        return None
    content, seal = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    return content if seal == _seal_of(content) else None


def write_checked(path: Path, data: bytes) -> str:
    """Write a file; return the checksum of the bytes that it should have, in hexadecimal digits."""
    path.write_bytes(data)
    return checksum(data).hex()


def write_table(path: Path, table: Mapping[str, Any]) -> None:
    """Write a table of JSON values with its checksum, atomically."""
    write_sealed(path, json.dumps(dict(table), indent=1).encode())


def read_table(path: Path) -> dict[str, Any]:
    """Return a table; empty if it is missing, unreadable, or has changed."""
    content = read_sealed(path)
    found: dict[str, Any] = {} if content is None else json.loads(content)
    return found


def changed(subject: object) -> IntegrityError:
    """Return the error of something that changed while this process was at work."""
    return IntegrityError(
        str(subject),
        expected="the bytes that were written",
        got="others",
        fix="run the same command again, and check the disk",
    )


def _seal_of(data: bytes) -> bytes:
    return _SEAL + checksum(data).hex().encode() + b"\n"
