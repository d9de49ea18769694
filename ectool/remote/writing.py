"""Remote outputs: shards are written as they are finished, the pointer last.

Objects of an output lie below a prefix that no published artifact uses. A reader sees the old
artifact until the pointer is replaced; an artifact that is replaced by another one stays reachable
under the address `NAME.old-KEY`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore
from typing import NamedTuple

from ectool.remote import index, objects, reading
from ectool.remote.copies import store
from ectool.remote.index import Index, Span
from ectool.remote.locks import Lock
from ectool.remote.packs import Pack, packed, unpacked
from ectool.remote.reading import EVALUATION, FILES, SHARD

STORE = "store.zarr/"
"""Folder of the arrays in an unfinished output."""
WAITING = 4
"""Maximum number of shards in memory that are being written."""
SMALL = reading.WHOLE // 4
"""Shards of fewer bytes are joined in the end: a request costs more than their bytes."""
TEXT = 2**18
"""Texts of at most so many bytes are in the pointer."""
TEXTS = (".json", ".csv")


class Identity(NamedTuple):
    """What a pointer tells of an artifact: kind, key and id of its manifest."""

    kind: str
    key: str
    id: str


class Upload:
    """The remote side of an output.

    Args:
        output: Its path in the mirror.
        url: Its address.
        key: Key of its recipe.
        lock: Its lock.
        writers: Threads that write objects.
    """

    def __init__(
        self, output: Path, url: str, key: str, lock: Lock, writers: ThreadPoolExecutor
    ) -> None:
        self.output = output
        self.url = url
        self.lock = lock
        self.generation = _free_generation(url, key[:16])
        self._writers = writers
        self._room = BoundedSemaphore(WAITING)
        self._written: list[Future[None]] = []
        self._places: dict[int, Pack] = {}

    @property
    def prefix(self) -> str:
        """Return the address of the objects of this generation."""
        if _is_one_file(self.output):
            return f"{self.url}{reading.PARTIAL}{self.generation}"
        return f"{self.url}/{self.generation}"

    def restore(self, folder: Path) -> None:
        """Write the shards that are in the store into the folder of an unfinished output.

        Damaged ones are left out.
        """
        names = sorted(name for name in objects.sizes(self.prefix) if name.endswith(SHARD))
        for first in range(0, len(names), WAITING):
            some = [f"{self.prefix}/{name}" for name in names[first : first + WAITING]]
            for url, data in objects.read_all(some).items():
                pack = unpacked(data)
                if pack is not None:
                    for name in pack.places:
                        store(folder / name, pack.file(name))
                    number = int(url.rpartition("/")[2].removesuffix(SHARD))
                    self._places[number] = pack._replace(data=b"")

    def shard(self, number: int, folder: Path, names: Iterable[str]) -> None:
        """Write the files of a finished shard as an object, in a thread.

        Raises:
            InputError: The store refuses this or an earlier shard.
        """
        pack = packed({name: (folder / name).read_bytes() for name in names})
        self._places[number] = pack._replace(data=b"")
        self._raise()
        self._room.acquire()
        self._written.append(self._writers.submit(self._write, number, pack.data))

    def _write(self, number: int, data: bytes) -> None:
        try:
            objects.write(f"{self.prefix}/{_shard_name(number)}", data)
        finally:
            self._room.release()

    def save(self, folder: Path, name: str) -> None:
        """Write a folder of an unfinished output as an object, in place of the others."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted((folder / name).rglob("*"))
            if path.is_file()
        }
        old = [f"{self.prefix}/{one}" for one in objects.sizes(self.prefix)]
        objects.write(f"{self.prefix}/{_shard_name(0)}", packed(files).data)
        objects.delete([url for url in old if not url.endswith(_shard_name(0))])

    def _raise(self) -> None:
        """Raise the first error of a thread."""
        for future in self._written:
            if future.done():
                future.result()
        self._written = [future for future in self._written if not future.done()]

    def publish(self, identity: Identity, names: Collection[str] | None = None) -> None:
        """Write what is missing, then the pointer.

        Args:
            identity: Of the manifest.
            names: Files of the output that belong to it; all unless given.

        Raises:
            LockedError: Another process has taken the lock.
        """
        for future in self._written:
            future.result()
        is_file = self.output.is_file()
        found = None if is_file else self._written_files(identity, names)
        self.lock.check()
        old = None if identity.kind == EVALUATION else _set_aside(self.url, identity.key)
        if found is None:
            objects.upload(self.output, self.url)
        else:
            objects.write(f"{self.url}/{index.NAME}", found.to_bytes())
        used = set() if found is None else {f"{self.url}/{name}" for name in found.sizes()}
        folders = [self.prefix, *([] if old is None else [f"{self.url}/{old}"])]
        left = {f"{one}/{name}" for one in folders for name in objects.sizes(one)}
        objects.delete(sorted(left - used))

    def _written_files(self, identity: Identity, names: Collection[str] | None) -> Index:
        """Write the files that are in no object yet; return the pointer."""
        paths = sorted(path for path in self.output.rglob("*") if path.is_file())
        known = self._spans()
        files: dict[str, str | Span] = {}
        others: dict[str, Path] = {}
        for path in paths:
            name = path.relative_to(self.output).as_posix()
            if names is not None and name not in names:
                continue
            is_short = path.stat().st_size <= TEXT or identity.kind == EVALUATION
            if path.suffix in TEXTS and is_short:
                files[name] = path.read_text(encoding="utf-8")
            elif name in known:
                files[name] = known[name]
            else:
                others[name] = path
        files |= self._packed(others)
        ordered = {name: files[name] for name in sorted(files, key=_order)}
        return Index(self.generation, *identity, files=ordered, base=self.url)

    def _spans(self) -> dict[str, Span]:
        """Return the places of the files of large shards."""
        found = {}
        for number, pack in self._places.items():
            if sum(size for _, size in pack.places.values()) >= SMALL:
                source = f"{self.generation}/{_shard_name(number)}"
                for name, (start, size) in pack.places.items():
                    found[name.removeprefix(STORE)] = Span(source, start, size)
        return found

    def _packed(self, paths: Mapping[str, Path]) -> dict[str, Span]:
        """Write files as objects, several small ones in one."""
        found: dict[str, Span] = {}
        for group in _groups(paths):
            source = f"{self.generation}/{len(found):06d}{FILES}"
            if len(group) == 1:
                (name,) = group
                objects.upload(paths[name], f"{self.url}/{source}")
                found[name] = Span(source, 0, paths[name].stat().st_size)
                continue
            pack = packed({name: paths[name].read_bytes() for name in group})
            objects.write(f"{self.url}/{source}", pack.data)
            found |= {name: Span(source, *place) for name, place in pack.places.items()}
        return found


def _order(name: str) -> tuple[str, int, str]:
    """Sort the chunks of an array by number."""
    parts = name.split("/")
    number = next((int(part) for part in parts if part.isdecimal()), -1)
    return parts[0], number, name


def _shard_name(number: int) -> str:
    return f"{number:06d}{SHARD}"


def _groups(paths: Mapping[str, Path]) -> Iterator[list[str]]:
    """Yield the names of files that share an object."""
    group: list[str] = []
    total = 0
    for name, path in paths.items():
        size = path.stat().st_size
        if group and total + size > reading.WHOLE:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group


def _is_one_file(output: Path) -> bool:
    return output.suffix in (".h5", ".hdf5")


def _pointer(url: str) -> Index | None:
    data = objects.read_document(f"{url}/{index.NAME}")
    return None if data is None else index.parse(data, url)


def _free_generation(url: str, name: str) -> str:
    """Return a prefix that the published artifact does not use."""
    found = _pointer(url)
    if found is None or not found.generation.startswith(name):
        return name
    number = int(found.generation.removeprefix(name).lstrip("-") or 1)
    return f"{name}-{number + 1}"


def _set_aside(url: str, key: str) -> str | None:
    """Keep an artifact that will be replaced by another one reachable.

    Returns:
        The generation of an artifact with the same key, which is damaged and not kept.
    """
    found = _pointer(url)
    if found is None:
        if (tag := objects.tag(url)) is not None:  # a single file
            name, _, suffix = url.rpartition(".")
            objects.copy(url, f"{name}.old-{tag[:8]}.{suffix}")
        return None
    if found.key == key:
        return found.generation
    objects.write(f"{url}.old-{found.key[:8]}/{index.NAME}", found.to_bytes())
    return None
