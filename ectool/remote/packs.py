"""A finished shard as one object: its files, then a table of them with a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import NamedTuple

from ectool.parsing import parse_json

_LENGTH_BYTES = 8


class Pack(NamedTuple):
    """Files in one object.

    Attributes:
        data: The bytes of the object.
        places: First byte and number of bytes of each file, by name.
    """

    data: bytes
    places: Mapping[str, tuple[int, int]]

    def file(self, name: str) -> bytes:
        """Return the bytes of a file."""
        start, size = self.places[name]
        return self.data[start : start + size]


def packed(files: Mapping[str, bytes]) -> Pack:
    """Join files into an object."""
    places, start = {}, 0
    for name, data in files.items():
        places[name] = (start, len(data))
        start += len(data)
    body = b"".join(files.values())
    table = {"files": places, "sha256": hashlib.sha256(body).hexdigest()}
    tail = json.dumps(table).encode()
    return Pack(body + tail + len(tail).to_bytes(_LENGTH_BYTES, "little"), places)


def unpacked(data: bytes) -> Pack | None:
    """Return the files of an object; None if it is damaged or incomplete."""
    size = int.from_bytes(data[-_LENGTH_BYTES:], "little")
    end = len(data) - _LENGTH_BYTES - size
    if end < 0 or size == 0:
        return None
    try:
        table = parse_json(data[end:-_LENGTH_BYTES])
        places = {str(name): (int(a), int(b)) for name, (a, b) in table["files"].items()}
        digest = table["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Pack(data, places) if hashlib.sha256(data[:end]).hexdigest() == digest else None
