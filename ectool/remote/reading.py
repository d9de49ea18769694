"""Remote artifacts as local folders whose large files come when they are read.

Looking at a path in the mirror asks the store once what is there: a published artifact, whose
small files are then written; a single object; or objects of other programs below a prefix.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path

from ectool import urls
from ectool.remote import index, objects, session
from ectool.remote.copies import Pieces, complete, store
from ectool.remote.index import Index, Span
from ectool.writing import temporary

WHOLE = 2**25
"""Objects of at most so many bytes are read as a whole."""
KEPT = 2**30
"""Copies of artifacts of at most so many bytes stay for later processes."""
AHEAD = 4
"""Number of spans of an array that are read at the same time, and of shards read ahead."""
EVALUATION, ZARR = "evaluation", "zarr.json"
OBJECTS = ".objects"
"""Folder of the pieces of objects in the folder of an artifact."""
_CHUNK = re.compile(r"(.+?)/c/(\d+)(?:/\d+)*")
"""Name of a chunk's file: its array, and its number along the rows."""
PARTIAL, LOCK, SHARD, FILES = ".partial-", ".lock", ".shard", ".files"


class Mirrored:
    """A published artifact and its folder here.

    Args:
        url: Its address.
        found: Its pointer.
        folder: The folder, of which files may be missing.
    """

    def __init__(self, url: str, found: Index, folder: Path) -> None:
        self.url = url
        self.index = found
        self.folder = folder
        self.spans = {n: place for n, place in found.files.items() if isinstance(place, Span)}
        self._sizes = found.sizes()
        self._mates: dict[str, list[str]] = {}
        for name, place in self.spans.items():
            self._mates.setdefault(place.name, []).append(name)
        self._names = list(self.spans)
        self._position = {name: position for position, name in enumerate(self._names)}
        self._chunks = {parts.groups(): n for n in self.spans if (parts := _CHUNK.fullmatch(n))}
        self._lock = threading.Lock()
        ends: dict[str, int] = {}
        for source, start, size in self.spans.values():
            ends[source] = max(ends.get(source, 0), start + size)
        self.pieces = Pieces(found.base, folder / OBJECTS, ends)

    def contents(self, name: str) -> bytes | None:
        """Return the bytes of a missing file; None if the artifact has no such file.

        Raises:
            IntegrityError: Its object is missing or too short.
        """
        if name not in self.spans:
            return None
        if self._is_pack(self.spans[name].name):
            return self.pieces.read(self.spans[name])
        self.fetch(name)
        return (self.folder / name).read_bytes()

    def ahead(self, arrays: Iterable[str], number: int) -> None:
        """Begin to read the chunks of arrays from a number on, those of a few shards."""
        for later in range(number, number + AHEAD):
            for array in arrays:
                name = self._chunks.get((array, str(later)))
                if name and self._is_pack(self.spans[name].name):
                    self.pieces.start(self.spans[name])

    def _is_pack(self, source: str) -> bool:
        """Return whether an object holds several files and is not large."""
        return len(self._mates[source]) > 1 and self._sizes[source] <= WHOLE

    def fetch(self, name: str) -> bool:
        """Read a missing file, and others that come with it; tell whether it is there.

        Raises:
            IntegrityError: Its object is missing or too short.
        """
        if name not in self.spans:
            return False
        with self._lock:
            if not (self.folder / name).exists():
                self._fetch(name)
        return True

    def _fetch(self, name: str) -> None:
        source = self.spans[name].name
        mates = self._mates[source]
        if len(mates) == 1 and self._sizes[source] > WHOLE:
            self._download(source, name)
        elif self._sizes[source] <= WHOLE:
            url = self._url(source)
            data = complete(url, objects.read(url), self._sizes[source])
            for mate in mates:
                _, start, size = self.spans[mate]
                store(self.folder / mate, data[start : start + size])
        else:
            self._read_spans(self._following(name))

    def _url(self, source: str) -> str:
        return f"{self.index.base}/{source}"

    def _download(self, source: str, name: str) -> None:
        """Copy an object that is one file."""
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = temporary(place)
        try:
            objects.download(self._url(source), unfinished)
        except FileNotFoundError:
            complete(self._url(source), None, 0)
        unfinished.replace(place)

    def _read_spans(self, names: list[str]) -> None:
        """Read files that are parts of large objects, at the same time."""
        places = [self.spans[name] for name in names]
        try:
            found = objects.read_spans(
                [(self._url(source), start, start + size) for source, start, size in places]
            )
        except FileNotFoundError:
            complete(self._url(places[0].name), None, 0)
        for name, data, place in zip(names, found, places, strict=True):
            store(self.folder / name, complete(self._url(place.name), data, place.size))

    def _following(self, name: str) -> list[str]:
        """Return a file and the missing ones after it of the same array, a few."""
        array, position = name.split("/")[0], self._position[name]
        later = self._names[position : position + AHEAD]
        return [n for n in later if n.split("/")[0] == array and not (self.folder / n).exists()]

    def forget(self) -> None:
        """Remove the copies of all large files."""
        with self._lock:
            self.pieces.forget()
            for name in self.spans:
                (self.folder / name).unlink(missing_ok=True)


_mirrored: dict[Path, Mirrored] = {}
_looked: set[Path] = set()
_fresh: set[Path] = set()
_copies: dict[Path, tuple[int, int]] = {}
"""State of the copies of objects that are no artifacts of ectool."""


def fresh(path: Path) -> None:
    """Read what is at a path and below it without copies that earlier processes left."""
    _fresh.add(path)


def look(path: Path) -> None:
    """Ask the store once what is at a path of the mirror; do nothing for other paths.

    Raises:
        InputError: The store refuses, or does not answer.
    """
    url = urls.url_of(path)
    if url is None or path.exists() or _looked & {path, *path.parents}:
        return
    session.begin()
    _looked.add(path)
    data = objects.read_document(f"{url}/{index.NAME}")
    if data is not None:
        found = index.parse(data, url)
        mirror(url, found, path)
        if found.kind == EVALUATION:  # its parts are artifacts
            _look_below(url, path)
    elif objects.exists(url):
        path.parent.mkdir(parents=True, exist_ok=True)
        objects.download(url, path)
        _copies[path] = _state(path)
    else:
        _look_below(url, path)


def published(path: Path) -> Mirrored | None:
    """Return the published artifact that was found at a path."""
    return _mirrored.get(path)


def mirror(url: str, found: Index, path: Path) -> None:
    """Make the folder of a published artifact, with its small files."""
    folder = path
    is_small = sum(found.sizes().values()) <= KEPT
    is_fresh = bool(_fresh & {path, *path.parents})
    if found.kind != EVALUATION and is_small and not is_fresh:
        folder = session.kept(f"{found.id[:32]}-{found.generation[:24]}") / path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(folder)
    mirrored = _mirrored[path] = Mirrored(url, found, folder)
    for name, text in found.files.items():
        if isinstance(text, str):
            _keep(folder / name, text.encode())
    if ZARR not in found.files:  # of a model, all files are read
        for name in mirrored.spans:
            mirrored.fetch(name)


def _keep(path: Path, data: bytes) -> None:
    """Write a file that may be there from an earlier process."""
    if not path.exists() or path.read_bytes() != data:
        store(path, data)


def distrust(path: Path) -> None:
    """Remove the copies of an artifact that does not match its digests."""
    if path in _mirrored:
        _mirrored[path].forget()


def _look_below(url: str, path: Path) -> None:
    """Look at everything below an address: artifacts, and objects of other programs."""
    sizes = objects.sizes(url)
    nested = {name.removesuffix(f"/{index.NAME}") for name in sizes if _is_pointer(name)}
    for name in sorted(nested):
        place = path / name
        if not any(str(parent) in nested for parent in Path(name).parents):
            data = objects.read_document(f"{url}/{name}/{index.NAME}")
            if data is not None:
                mirror(f"{url}/{name}", index.parse(data, f"{url}/{name}"), place)
    plain = [name for name in sizes if not _is_part(name, nested)]
    for own, data in objects.read_all([f"{url}/{name}" for name in plain]).items():
        place = path / own.removeprefix(f"{url}/")
        store(place, data)
        _copies[place] = _state(place)


def _is_pointer(name: str) -> bool:
    return name.endswith(f"/{index.NAME}")


def _is_part(name: str, nested: set[str]) -> bool:
    """Return whether an object belongs to an artifact, to an unfinished one, or to a lock."""
    folders = [str(parent) for parent in Path(name).parents]
    is_unfinished = any(PARTIAL in part for part in Path(name).parts)
    is_own = name == index.NAME or name.endswith((LOCK, SHARD, FILES))
    return is_own or is_unfinished or bool(nested.intersection(folders))


def is_copy(file: Path) -> bool:
    """Return whether a file is the unchanged copy of an object."""
    return _copies.get(file) == _state(file)


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def need(file: Path) -> bool:
    """Read a missing file of a remote artifact; tell whether it is there."""
    found = _artifact_of(file)
    return found is not None and found[0].fetch(found[1])


def contents(file: Path) -> bytes | None:
    """Return the bytes of a missing file of a remote artifact; None if it has no such file."""
    found = _artifact_of(file)
    return None if found is None else found[0].contents(found[1])


def ahead(path: Path, arrays: Iterable[str], number: int) -> None:
    """Begin to read the chunks of arrays from a number on; do nothing for local artifacts."""
    if path in _mirrored:
        _mirrored[path].ahead(arrays, number)


def _artifact_of(file: Path) -> tuple[Mirrored, str] | None:
    """Return the artifact that a file belongs to, and its name there; None for local files."""
    if urls.url_of(file) is None:
        return None
    for folder in file.parents:
        if folder in _mirrored:
            return _mirrored[folder], file.relative_to(folder).as_posix()
    return None
