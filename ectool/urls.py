"""Addresses of other stores, such as `s3://bucket/w.zarr`, told apart from paths."""

from __future__ import annotations

import re
from pathlib import Path

_TEXT = re.compile(r"(?:[\w.-]+:)?([A-Za-z][A-Za-z0-9+.-]*)://\S*")
"""An address, also one after the name of a data set or of a kind of model."""
_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/.*")
"""An address after `Path` has made one slash of two."""


def scheme_of(value: object) -> str | None:
    """Return the scheme of a value of an option that is an address; None for others.

    A path may begin with `s3:/`, because paths have no empty parts: it is an address, too.
    """
    if isinstance(value, Path):
        found = _PATH.fullmatch(str(value))
    else:
        found = _TEXT.fullmatch(value) if isinstance(value, str) else None
    return None if found is None else found[1]
