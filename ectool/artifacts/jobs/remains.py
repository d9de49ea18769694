"""What a killed process has left of an unfinished array artifact: only what is intact is kept.

Everything that a resume reads has a digest of the bytes that were computed: arrays in the marker of
their shard, markers and notes in their last line, metadata of arrays in a note. A damaged shard
counts as unfinished.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ectool.artifacts import files, zarr_store
from ectool.artifacts.content import DECODING
from ectool.artifacts.hashing import digest_arrays
from ectool.artifacts.jobs import metadata
from ectool.artifacts.jobs.metadata import STORE
from ectool.artifacts.jobs.sealed import read_sealed, write_sealed
from ectool.artifacts.manifest import Shard

SHARDS = "shards"
FOLDERS, FILES = {STORE, SHARDS, "own", "pieces"}, {*files.NOTES, files.OWN_FILE}
"""Names in the folder of an unfinished output, besides locks."""
NEEDED = files.NOTES - {files.JOB_FILE}
"""Notes that finished shards depend on."""
CHECKED_AT_ONCE = 8
"""Maximum number of arrays of shards in memory while they are compared with their digests."""

Ranges = Sequence[tuple[int, int]]


class Marker(BaseModel):
    """The record of a finished shard.

    Attributes:
        shard: Its rows, digests and findings.
        notes: Names of the notes that existed when it was written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    shard: Shard
    notes: tuple[str, ...]


def marker_path(folder: Path, number: int) -> Path:
    """Return the path of the marker of a shard."""
    return folder / SHARDS / f"{number:06d}.json"


def write_marker(folder: Path, number: int, shard: Shard) -> None:
    """Mark a shard as finished."""
    notes = tuple(sorted(name for name in NEEDED if (folder / name).exists()))
    text = Marker(shard=shard, notes=notes).model_dump_json()
    write_sealed(marker_path(folder, number), text.encode())


def read_marker(folder: Path, number: int) -> Marker | None:
    """Return the marker of a shard; None if it is missing or damaged."""
    content = read_sealed(marker_path(folder, number))
    return None if content is None else Marker.model_validate_json(content)


@dataclass
class Damage:
    """Damaged parts of an unfinished output.

    Attributes:
        files: Their paths in its folder.
        shards: Numbers of finished shards that have to be computed again.
        intact: Markers of the others, by number.
        metadata: Paths in the store of changed metadata, which can be restored.
        is_total: Whether a note is damaged that all finished shards depend on.
    """

    files: list[str] = field(default_factory=list)
    shards: set[int] = field(default_factory=set)
    intact: dict[int, Marker] = field(default_factory=dict)
    metadata: list[str] = field(default_factory=list)
    is_total: bool = False


def find_damage(folder: Path, ranges: Ranges, numbers: Iterable[int]) -> Damage:
    """Compare finished shards with their digests, and what they depend on; change nothing.

    Args:
        folder: Folder of the unfinished output.
        ranges: Rows of every shard.
        numbers: The shards to compare.

    Cost: everything is read once.
    """
    found = Damage()
    _find_markers(folder, ranges, numbers, found)
    needed = {name for marker in found.intact.values() for name in marker.notes}
    bad = [name for name in sorted(needed) if read_sealed(folder / name) is None]
    if bad:
        found.files += bad
        found.shards |= found.intact.keys()
        found.intact.clear()
        found.is_total = True
        return found
    found.metadata = metadata.changed(folder)
    found.files += [f"{STORE}/{path}" for path in found.metadata]
    if not found.metadata:
        _find_shards(folder, found)
    return found


def keep_intact(folder: Path, ranges: Ranges, part: Collection[int] | None = None) -> list[str]:
    """Remove what is damaged from an unfinished output whose lock is held.

    Args:
        folder: Its folder.
        ranges: Rows of every shard.
        part: The shards that belong to the holder of the lock; all unless given, and then
            everything that does not belong to the output is removed as well.

    Returns:
        Paths of the damaged files in the folder.
    """
    numbers = range(len(ranges)) if part is None else part
    files.as_folder(folder / SHARDS)
    if part is None:
        _remove_others(folder, len(ranges))
    damage = find_damage(folder, ranges, numbers)
    found = list(damage.files)
    if damage.metadata:
        metadata.restore(folder)
        damage = find_damage(folder, ranges, numbers)
        found += damage.files
    for number in damage.shards:
        files.remove(marker_path(folder, number))
    if part is not None:
        _clear_chunks(folder, set(numbers) - damage.intact.keys())
    elif not damage.intact:
        _remove_useless(folder, is_total=damage.is_total)
    return list(dict.fromkeys(found))


def _remove_useless(folder: Path, *, is_total: bool) -> None:
    """Remove what stands beside shards of which none is finished: arrays, and damaged notes."""
    files.remove(folder / STORE)
    for name in NEEDED:
        if is_total or name == files.ARRAYS_FILE or read_sealed(folder / name) is None:
            files.remove(folder / name)


def _remove_others(folder: Path, count: int) -> None:
    """Remove what is not part of an unfinished output, or is no file or folder where it is one."""
    markers = {marker_path(folder, number).name for number in range(count)}
    for path in folder.iterdir():
        if path.name in FOLDERS:
            files.as_folder(path)
        elif path.name in FILES or path.name.startswith(files.LOCK_FILE):
            files.clear(path)
        else:
            files.remove(path)
    for path in (folder / SHARDS).iterdir():
        if path.name not in markers:
            files.remove(path)
    texts = metadata.recorded(folder)
    keep = {*texts, *metadata.chunks(texts, range(count))}
    if (folder / STORE).exists():
        _sweep(folder / STORE, folder / STORE, keep)


def _sweep(folder: Path, store: Path, keep: Collection[str]) -> None:
    """Remove everything below a folder other than certain files."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            _sweep(path, store, keep)
            with suppress(OSError):
                path.rmdir()
        elif path.is_symlink() or path.relative_to(store).as_posix() not in keep:
            files.remove(path)
        else:
            files.clear(path)


def _clear_chunks(folder: Path, numbers: Iterable[int]) -> None:
    """Remove what is no file in place of the chunks of shards."""
    for path in metadata.chunks(metadata.recorded(folder), numbers):
        metadata.clear(folder / STORE, path)


def _find_markers(folder: Path, ranges: Ranges, numbers: Iterable[int], found: Damage) -> None:
    """Read the markers of shards; one for other rows counts as damaged."""
    for number in numbers:
        marker = read_marker(folder, number)
        if marker is not None and (marker.shard.start, marker.shard.stop) == ranges[number]:
            found.intact[number] = marker
        elif os.path.lexists(path := marker_path(folder, number)):
            found.files.append(path.relative_to(folder).as_posix())
            found.shards.add(number)


def _find_shards(folder: Path, found: Damage) -> None:
    """Compare the arrays of shards with their digests."""
    if not found.intact:
        return
    store = zarr_store.ZarrStore(folder / STORE, is_ours=True)
    parts = [(n, name) for n, marker in found.intact.items() for name in marker.shard.arrays]

    def is_whole(part: tuple[int, str]) -> bool:
        shard, name = found.intact[part[0]].shard, part[1]
        try:
            values = store.read(name, shard.start, shard.stop)
        except DECODING:
            return False
        return digest_arrays({name: values}) == shard.arrays[name]

    with ThreadPoolExecutor(min(CHECKED_AT_ONCE, os.cpu_count() or 1)) as workers:
        for (number, name), is_good in zip(parts, workers.map(is_whole, parts), strict=True):
            if not is_good:
                chunk = metadata.chunk(name, number, len(store.arrays[name].shape))
                found.files.append(f"{STORE}/{chunk}")
                found.shards.add(number)
    for number in found.shards & found.intact.keys():
        del found.intact[number]
