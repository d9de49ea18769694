"""Addresses of artifacts in other stores, such as `s3://bucket/w.zarr`, and their paths here.

An address has a path below a folder of this process, the mirror: `…/s3/bucket/w.zarr`. Stages work
on this path as on any other; `ectool.remote` reads and writes the objects behind it. Texts for
people, and the manifests, hold the address.
"""

from __future__ import annotations

import os
import re
import secrets
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ectool.errors import UsageError

CACHE_VARIABLE = "ECTOOL_CACHE"
"""Variable with the folder of copies of remote artifacts."""
PACKAGES = {
    "s3": ("s3fs", "ectool[s3]"),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcsfs")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("adlfs", "adlfs")),
    **dict.fromkeys(("http", "https"), ("aiohttp", "aiohttp")),
}
"""For each scheme its package, and what pip has to install."""
FILE = "file"
READ_ONLY = ("http", "https")
_TEXT = re.compile(r"((?:[\w.-]+:)?)([A-Za-z][A-Za-z0-9+.-]*)://(\S*)")
"""An address, also one after the name of a data set or of a kind of model."""
_PATH = re.compile(r"()([A-Za-z][A-Za-z0-9+.-]*):/+(.*)")
"""An address after `Path` has made one slash of two."""


def _parts(value: object) -> tuple[str, str, str] | None:
    """Return prefix, scheme and rest of a value that is an address; None for others."""
    if isinstance(value, Path):
        found = _PATH.fullmatch(str(value))
    else:
        found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else (found[1], found[2].lower(), found[3])


def scheme_of(value: object) -> str | None:
    """Return the scheme of a value of an option that is an address; None for others.

    A path may begin with `s3:/`, because paths have no empty parts: it is an address, too.
    """
    parts = _parts(value)
    return None if parts is None else parts[1]


def local_path(value: str | Path, subject: str) -> Path:
    """Return the path that an address has here.

    Args:
        value: The address.
        subject: Name of the option, for errors.

    Raises:
        UsageError: The scheme is unknown, its package is missing, or the address is not valid.
    """
    parts = _parts(value)
    if parts is None:
        return Path(value)
    _, scheme, rest = parts
    if scheme == FILE:
        return Path("/", rest)
    _check(subject, scheme, rest)
    return mirror() / scheme / rest


def _check(subject: str, scheme: str, rest: str) -> None:
    """Check an address. Its text is not in the messages before it is known to hold no password."""
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise UsageError(
            f"{subject} {scheme}://…",
            expected="an address without credentials",
            got="a user or a password in it",
            fix="give them in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)",
        )
    where = f"{subject} {scheme}://{rest}"
    if scheme not in PACKAGES:
        known = ", ".join([*PACKAGES, FILE])
        raise UsageError(
            where,
            expected=f"a path, or an address of {known}",
            got=f"the unknown scheme {scheme!r}",
            fix="correct it",
        )
    if not bucket or {"..", "."} & set(key.split("/")) or re.search(r"[?#]", rest):
        raise UsageError(
            where,
            expected=f"an address as {scheme}://BUCKET/NAME",
            got="no bucket" if not bucket else "one with `..`, `.`, `?` or `#`",
            fix="correct it",
        )
    package, install = PACKAGES[scheme]
    if find_spec(package) is None:
        raise UsageError(
            where,
            expected=f"the package {package} for {scheme}://",
            got="no such package",
            fix=f"pip install '{install}'",
        )


def cache_folder() -> Path:
    """Return the folder of copies of remote artifacts."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).absolute()
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache").absolute() / "ectool"


@cache
def mirror() -> Path:
    """Return the folder of this process for the paths of addresses."""
    return cache_folder() / "sessions" / secrets.token_hex(8)


def is_used() -> bool:
    """Return whether this process has seen an address."""
    return mirror.cache_info().currsize > 0


def url_of(path: Path) -> str | None:
    """Return the address of a path in the mirror; None for other paths."""
    if not is_used():
        return None
    root, text = f"{mirror()}/", str(path)
    if not text.startswith(root):
        return None
    scheme, _, rest = text.removeprefix(root).partition("/")
    return f"{scheme}://{rest}"


def shown(text: str) -> str:
    """Return a text with addresses in place of the paths they have here."""
    if not is_used():
        return text
    return re.sub(re.escape(f"{mirror()}/") + r"([a-z0-9+.-]+)/", r"\1://", text)


def place(folder: Path, path: str) -> Path:
    """Return the path of an input that a manifest names.

    Args:
        folder: Folder of the artifact with the manifest.
        path: An address, or a path relative to the folder.
    """
    scheme = scheme_of(path)
    if scheme is None or (scheme != FILE and scheme not in PACKAGES):
        return folder / path
    return local_path(path, "")
