"""Outputs of commands in other stores: artifacts, and files such as reports."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ectool import urls
from ectool.remote import objects, reading
from ectool.remote.locks import held
from ectool.remote.writing import Identity, Upload

_forced: set[Path] = set()
_written: set[Path] = set()
"""Outputs that are artifacts."""


def force(output: Path) -> None:
    """Take the locks of an output, or of anything in it, also from other processes."""
    _forced.add(output)


@contextmanager
def uploading(output: Path, key: str) -> Iterator[Upload | None]:
    """Hold the lock of a remote output; yield its remote side, None for local ones.

    Raises:
        LockedError: Another process writes it.
    """
    url = urls.url_of(output)
    if url is None:
        yield None
        return
    is_forced = bool(_forced & {output, *output.parents})
    with held(url, force=is_forced) as lock, ThreadPoolExecutor(2) as writers:
        upload = Upload(output, url, key, lock, writers)
        _written.add(output)
        yield upload


def publish(output: Path, identity: Identity, names: Collection[str] | None = None) -> None:
    """Write a finished local copy of a remote output as a whole; do nothing for local outputs."""
    with uploading(output, identity.key) as upload:
        if upload is not None:
            upload.publish(identity, names)


def send(path: Path) -> None:
    """Write files that are no artifacts, such as a report, at a path of the mirror."""
    url = urls.url_of(path)
    if url is None or path in _written or path.is_symlink() or not path.exists():
        return
    if reading.PARTIAL in path.name or reading.published(path) is not None:
        return
    if path.is_dir():
        for one in sorted(path.iterdir()):
            send(one)
    elif not reading.is_copy(path):
        objects.write(url, _public(path))


def _public(path: Path) -> bytes:
    """Return the bytes of a file, with addresses in place of paths of the mirror."""
    root = str(urls.mirror()).encode()
    data = path.read_bytes()
    return urls.shown(data.decode()).encode() if root in data else data
