"""The pointer of a remote artifact: one object, written last, that names all others.

It is a reference file as of kerchunk (version 1): each file of the artifact is either in it as text
or a span of another object. Thus fsspec's `reference` file system opens a remote Zarr artifact for
any other program. The entry `ectool` holds what the references do not need.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ectool.errors import IntegrityError
from ectool.parsing import parse_json
from ectool.urls import PACKAGES, scheme_of

NAME = "index.json"
"""Name of the pointer below the address of the artifact."""
_TEMPLATE = "{{u}}/"
_BASE64 = "base64:"
_TOKEN = re.compile(r"\w[\w.-]*")
_SHOWN = 60
"""Maximum number of letters of a name in a message."""


class Span(NamedTuple):
    """Bytes of an object: its name below the address of the artifact, first byte, number."""

    name: str
    start: int
    size: int


@dataclass(frozen=True)
class Index:
    """A published artifact.

    Attributes:
        generation: Prefix of its objects, which is used once.
        kind: Its schema.
        key: Key of its recipe.
        id: Its content id.
        files: Text or place of each file, by its name relative to the artifact.
        base: Address that the names of objects are relative to.
    """

    generation: str
    kind: str
    key: str
    id: str
    files: Mapping[str, str | Span]
    base: str

    def to_bytes(self) -> bytes:
        """Return the JSON of the pointer."""
        refs = {
            name: [_TEMPLATE + found.name, found.start, found.size]
            if isinstance(found, Span)
            else _escaped(found)
            for name, found in self.files.items()
        }
        own = {"generation": self.generation, "kind": self.kind, "key": self.key, "id": self.id}
        document = {
            "version": 1,
            "templates": {"u": self.base},
            "refs": refs,
            "ectool": own,
        }
        return json.dumps(document).encode()

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each object that belong to the artifact."""
        found: dict[str, int] = {}
        for span in self.files.values():
            if isinstance(span, Span):
                found[span.name] = found.get(span.name, 0) + span.size
        return found


def _escaped(text: str) -> str:
    """Return a text that a reader of references takes as it is."""
    is_plain = not text.startswith(_BASE64) and "{{" not in text
    return text if is_plain else _BASE64 + base64.b64encode(text.encode()).decode()


def _plain(text: str) -> str:
    if not text.startswith(_BASE64):
        return text
    return base64.b64decode(text.removeprefix(_BASE64)).decode()


def parse(data: bytes, url: str) -> Index:
    """Read a pointer; names that lead out of the artifact are refused.

    Args:
        data: Its bytes.
        url: Address of the artifact.

    Raises:
        IntegrityError: It is damaged.
    """
    try:
        document = parse_json(data)
        own, template = document["ectool"], document["templates"]["u"]
        files = {
            name: _plain(ref)
            if isinstance(ref, str)
            else Span(str(ref[0]).removeprefix(_TEMPLATE), int(ref[1]), int(ref[2]))
            for name, ref in document["refs"].items()
        }
        found = Index(own["generation"], own["kind"], own["key"], own["id"], files, template)
        _check(found)
        return found
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise IntegrityError(
            f"{url}/{NAME}",
            expected="the pointer that was written",
            got=f"{type(error).__name__}: {error}".splitlines()[0],
            fix="restore it, or make the artifact again with --force",
        ) from None


def _check(index: Index) -> None:
    """Check that every name stays below the artifact, and every object lies in a remote store.

    Copies are written under these names: one with `..` would write anywhere.

    Raises:
        ValueError: One does not.
        TypeError: One is no text.
    """
    for token in (index.generation, index.kind, index.key, index.id):
        if _TOKEN.fullmatch(token) is None:
            raise ValueError(f"the name {token[:_SHOWN]!r}")
    for name, place in index.files.items():
        names = (name, place.name) if isinstance(place, Span) else (name,)
        for one in names:
            if not all(map(_is_plain, one.split("/"))):
                raise ValueError(f"the name {one[:_SHOWN]!r}")
        if isinstance(place, Span) and (place.start < 0 or place.size < 0):
            raise ValueError(f"a place of {place.size} bytes from byte {place.start} on")
    if scheme_of(index.base) not in PACKAGES:
        raise ValueError(f"objects at {index.base[:_SHOWN]!r}")


def _is_plain(part: str) -> bool:
    """Return whether a part of a name is that of a file or folder, and no way to another one."""
    return part not in ("", ".", "..") and part.isprintable() and "\\" not in part
