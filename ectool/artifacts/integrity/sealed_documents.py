"""JSON documents whose last entry, `digest`, is the SHA-256 of their own text without it.

Every flipped bit of such a document is found, also in entries that no other digest covers. A
document without the entry is of an earlier version, or of another program.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from ectool.artifacts.hashing import digest_file
from ectool.artifacts.integrity.problem import MISSING, OTHER, Problem
from ectool.errors import InputError, IntegrityError
from ectool.input_files import JSON, read_bytes
from ectool.parsing import Kind, MalformedError, parse_json, read_json, read_object

DIGEST, FILES = "digest", "files"
FIX = "restore it, or run the command that made it again"
_END = b"\n}\n"
_NEARLY_SEALED = re.compile(rb',\n ".{6}": ".{64}"\n}\n\Z', re.DOTALL)
"""The same with another name of the entry, as a flipped bit makes it."""
_SEALED = re.compile(rb',\n "digest": "([0-9a-f]{64})"\n}\n\Z')


def sealed(text: str) -> bytes:
    """Return the text of a JSON object, indented by one space, with its digest as last entry."""
    body = text.rstrip("\n").encode() + b"\n"
    digest = hashlib.sha256(body).hexdigest()
    return body.removesuffix(_END) + f',\n "{DIGEST}": "{digest}"'.encode() + _END


def sealed_json(document: dict[str, Any]) -> bytes:
    """Return the text of a document with its digest."""
    return sealed(json.dumps(document, indent=1))


def is_sealed(data: bytes) -> bool:
    """Return whether a document ends with a digest, of whatever text."""
    return _SEALED.search(data[-200:]) is not None


def unsealed(data: bytes, where: Path) -> bytes:
    """Return the text without the digest after comparing both; without a digest, as it is.

    Raises:
        IntegrityError: The text has changed since it was written.
    """
    found = _SEALED.search(data)
    if found is None:
        if _has_digest(data):
            raise changed(where, "the end of the file that was written", "another one")
        return data
    body = data[: found.start()] + _END
    digest = hashlib.sha256(body).hexdigest()
    if digest != found[1].decode():
        raise changed(where, f"the text of digest {found[1].decode()[:12]}", digest[:12])
    return body


def read_document(path: Path, *, kind: Kind = InputError, fix: str = FIX) -> dict[str, Any]:
    """Return the object in a JSON file after comparing it with its digest, if it has one.

    Raises:
        InputError: As of `read_object`.
        IntegrityError: The text has changed since it was written.
    """
    found = read_object(path, kind=kind, fix=fix)
    if DIGEST in found:
        unsealed(path.read_bytes(), path)
    return found


def _has_digest(data: bytes) -> bool:
    """Return whether a document has a digest in another form, as after editing."""
    with suppress(MalformedError):
        document = parse_json(data, allow_nan=True)
        return isinstance(document, dict) and DIGEST in document
    return False


def changed(where: Path, expected: str, got: str) -> IntegrityError:
    """Return the error of a document that has changed."""
    return IntegrityError(str(where), expected=expected, got=got, fix=FIX)


def document_problems(path: Path) -> list[Problem] | None:
    """Return what has changed in a document and the files it lists; None if it has no digest.

    Its entry `files` has the SHA-256 of files beside it or below, by name.
    """
    try:
        data = read_bytes(path, JSON)
        document = parse_json(data, allow_nan=True)
        has_digest = DIGEST in document
        body = unsealed(data, path)
    except (MalformedError, TypeError, InputError, IntegrityError):
        return [Problem(path.name, OTHER)]
    if not has_digest:
        return [Problem(path.name, OTHER)] if _NEARLY_SEALED.search(body) else None
    return [
        Problem(name, OTHER if (path.parent / name).is_file() else MISSING)
        for name, digest in sorted(_listed(document).items())
        if not _is_listed(path.parent / name, name, digest)
    ]


def _is_listed(place: Path, name: str, digest: str) -> bool:
    """Return whether a file below a document has a digest."""
    is_inside = not Path(name).is_absolute() and ".." not in Path(name).parts
    return is_inside and place.is_file() and not place.is_symlink() and digest_file(place) == digest


def files_of(path: Path) -> set[Path]:
    """Return the files that a document lists; none if it cannot be read."""
    with suppress(InputError, OSError):
        return {path.parent / name for name in _listed(read_json(path, allow_nan=True))}
    return set()


def _listed(document: object) -> dict[str, str]:
    """Return the digests of files in a document; none if it has no digest of its own."""
    if isinstance(document, dict) and DIGEST in document and isinstance(document.get(FILES), dict):
        return {name: str(digest) for name, digest in document[FILES].items()}
    return {}
