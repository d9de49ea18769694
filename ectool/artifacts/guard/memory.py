"""A limit of memory while a library reads a file."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAGES = Path("/proc/self/statm")
"""Linux: the first number is the size of the address space in pages."""


@contextmanager
def bounded_memory(more: int) -> Iterator[None]:
    """Limit the address space of this process within the block; do nothing where Linux is not.

    A pickle of a hundred bytes may ask for a list of 10¹² numbers, an HDF5 file for as many rows.

    Args:
        more: Bytes that may be added to what the process has.
    """
    if not _PAGES.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = int(_PAGES.read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE") + more
    known = [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([limit, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
