"""Reading of array artifacts, also of those from other programs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ectool.artifacts.checked import Checked
from ectool.artifacts.content import Content, unlike, unreadable
from ectool.artifacts.hashing import digest_arrays, digest_json
from ectool.artifacts.manifest import parse_manifest
from ectool.artifacts.schema import (
    SCHEMAS,
    VERSION,
    ArrayInfo,
    Arrays,
    check,
    spec_of,
)
from ectool.artifacts.store import open_store
from ectool.errors import InputError, IntegrityError
from ectool.remote.reading import ahead

FOREIGN_ROWS = 4096
"""Rows read at a time from an artifact without a manifest."""
CHECKED_AT_ONCE = 8
"""Maximum number of arrays of shards in memory while they are compared with their digests."""


class Artifact:
    """An open array artifact: checked against its schema, read by rows or by shards.

    Every array of every shard is compared with its digest in the manifest once, when its first
    row is read.

    Args:
        path: A `.zarr` folder or an `.h5` file.
        kind: Schema it must follow; that of its manifest or root attribute unless given.
        repair: Open it although attributes or arrays have changed.

    Raises:
        InputError: It is missing, follows another schema, or lacks arrays.
        IntegrityError: The manifest or an attribute has changed.
    """

    def __init__(self, path: Path, kind: str | None = None, *, repair: bool = False) -> None:
        self.path = path
        self.store = open_store(path)
        self._repair = repair
        try:
            self._open(kind)
        except Exception:
            self.close()
            raise

    def _open(self, kind: str | None) -> None:
        text = self.store.manifest()
        self.manifest = None if text is None else parse_manifest(text, self.path)
        self.kind = self._find_kind(kind)
        self._checked = Checked(self.manifest, self.kind)
        if self.manifest is not None and not self._checked.are_in_order:
            raise unlike(self.path, "manifest", "shards that do not follow each other")
        changed = self._checked.changed_attributes(self.store.attributes)
        if changed and not self._repair:
            raise unlike(self.path, f"attribute `{changed[0]}`")
        if self.manifest is None:
            _ = self.arrays

    @cached_property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, checked against the schema.

        Raises:
            InputError: An array is missing, or does not fit. Without a manifest, opening the
                artifact raises it already.
            IntegrityError: The arrays or the number of rows have changed.
        """
        arrays = self.store.arrays
        if self._repair:
            return arrays
        for name in self._checked.changed_names(arrays):
            raise unlike(
                self.path, f"array `{name}`", "an array more" if name in arrays else "none"
            )
        for name, reason in self.store.unreadable.items():
            if spec_of(self.kind, name) is not None:
                raise unreadable(self.path, self.kind, name, reason)
        check(self.kind, arrays, str(self.path))
        rows = arrays["sample_id"].shape[0]
        if self.manifest is not None and rows != self.shards[-1][1]:
            raise unlike(self.path, "sample_id", f"{rows} rows in place of {self.shards[-1][1]}")
        return arrays

    def _find_kind(self, required: str | None) -> str:
        """Return the name of the schema; raise an error if it is not the required one."""
        version = self._attribute("version", VERSION)
        found = self.manifest.kind if self.manifest else self._attribute("schema", None)
        if version != VERSION:
            raise InputError(
                str(self.path),
                expected=f"schema version {VERSION}",
                got=repr(version),
                fix="use the ectool that reads it, or write it as docs/artifacts.md describes",
            )
        if str(found) not in SCHEMAS or required not in (None, found):
            raise InputError(
                str(self.path),
                expected=f"a {required} artifact" if required else "a root attribute `schema`",
                got=f"schema {found!r}",
                fix="give the artifact that the stage reads (see `ectool inspect`)",
            )
        return str(found)

    def _attribute(self, name: str, default: object) -> object:
        """Return a root attribute; netCDF-4 and MATLAB write a single number as a list."""
        value = self.store.attributes.get(name, default)
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    def __enter__(self) -> Artifact:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close open files."""
        self.store.close()

    def __len__(self) -> int:
        return self.shards[-1][1] if self.manifest else self.arrays["sample_id"].shape[0]

    @cached_property
    def shards(self) -> tuple[tuple[int, int], ...]:
        """Return the [start, stop) row ranges of the shards."""
        if self.manifest is not None:
            return tuple((shard.start, shard.stop) for shard in self.manifest.shards)
        rows = self.arrays["sample_id"].shape[0]
        starts = range(0, rows, FOREIGN_ROWS)
        return tuple((start, min(start + FOREIGN_ROWS, rows)) for start in starts)

    @cached_property
    def _content(self) -> Content:
        return Content(self.path, self.store, self._checked, self.shards)

    @cached_property
    def id(self) -> str:
        """Return the content id; without a manifest, it is computed from the contents."""
        if self.manifest is not None:
            return self.manifest.id
        digests = [digest_arrays(arrays) for _, arrays in self.iterate()]
        return digest_json({"kind": self.kind, "shards": digests, "files": {}})

    @cached_property
    def sample_ids(self) -> list[str]:
        """Return the sample ids.

        Raises:
            InputError: An id occurs twice.
        """
        ids: list[str] = self.read("sample_id").tolist()
        if len(set(ids)) != len(ids):
            twice = Counter(ids).most_common(1)[0][0]
            raise InputError(
                f"{self.path}: sample_id",
                expected="every sample once",
                got=f"{twice!r} twice",
                fix="make the artifact again",
            )
        return ids

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray[Any, Any]:
        """Return rows [start, stop) of an array.

        Raises:
            IntegrityError: The rows have changed since they were written.
            InputError: The array is missing, or has numbers that the schema does not allow.
        """
        if name not in self.arrays:
            raise InputError(
                f"{self.path}: {name}",
                expected=f"the array `{name}`",
                got="arrays " + ", ".join(sorted(self.arrays)),
                fix="make the artifact with it",
            )
        stop = len(self) if stop is None else stop
        if self.arrays[name].shape[:1] != (len(self),):
            return self._content.load(name, start, stop)
        parts = [
            self._content.shard(name, number)[max(start, first) - first : stop - first]
            for number, (first, last) in enumerate(self.shards)
            if first < stop and start < last
        ]
        if not parts:
            return self._content.load(name, start, stop)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def take(self, name: str, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        """Return rows of an array in any order.

        Only these rows are read if the array is stored raw in Zarr; otherwise every shard with
        one of them is read as a whole.

        Raises:
            IntegrityError: The rows have changed since they were written.
            InputError: The array is missing.
        """
        return self._content.take(name, rows)

    def is_raw(self, name: str) -> bool:
        """Return whether rows of an array can be read without their neighbours."""
        return self._content.raw(name) is not None

    @cached_property
    def columns(self) -> list[str]:
        """Return the names of the arrays with a row per sample, as all arrays of a schema."""
        infos = sorted(self.arrays.items())
        return [name for name, info in infos if info.shape[:1] == (len(self),)]

    def iterate(self, names: Sequence[str] | None = None) -> Iterator[tuple[int, Arrays]]:
        """Yield (first row, columns) shard by shard, and read the next shard in a thread.

        Args:
            names: Names of columns; all unless given.

        Raises:
            IntegrityError: A shard has changed since it was written.
        """
        names = self.columns if names is None else names
        with ThreadPoolExecutor(1) as reader:
            numbers = range(len(self.shards))
            waiting = [reader.submit(self._shard, names, number) for number in numbers[:1]]
            for number, (start, _) in enumerate(self.shards):
                arrays = waiting.pop().result()
                for following in numbers[number + 1 : number + 2]:
                    waiting.append(reader.submit(self._shard, names, following))
                yield start, arrays

    def _shard(self, names: Sequence[str], number: int) -> Arrays:
        """Return the rows of a shard."""
        ahead(self.path, names, number)
        return {name: self.read(name, *self.shards[number]) for name in names}

    def verify(self) -> list[int]:
        """Return the numbers of the shards whose contents have changed."""
        return list(self.damage())

    def damage(self) -> dict[int, list[str]]:
        """Return the names of the changed arrays of each damaged shard, by its number.

        The name is empty if an earlier version wrote only a digest of the whole shard. Changed
        attributes, and arrays that are added or missing, count as damage of the first shard.
        """
        self._checked.clear()
        if self.manifest is None:
            return {}
        names = self._checked.changed_names(self.store.arrays)
        attributes = self._checked.changed_attributes(self.store.attributes)
        found = {0: [*names, *(f"attribute {name}" for name in attributes)]}
        parts = [
            (number, name)
            for number, shard in enumerate(self.manifest.shards)
            for name in shard.arrays or ("",)
            if name not in names
        ]
        with ThreadPoolExecutor(min(CHECKED_AT_ONCE, os.cpu_count() or 1)) as workers:
            whole = workers.map(lambda part: self._is_whole(part[1], part[0]), parts)
            for (number, name), is_whole in zip(parts, whole, strict=True):
                found.setdefault(number, []).extend([] if is_whole else [name])
        return {number: changed for number, changed in found.items() if changed}

    def intact_attributes(self) -> dict[str, Any]:
        """Return the root attributes without those that have changed."""
        changed = self._checked.changed_attributes(self.store.attributes)
        return {n: value for n, value in self.store.attributes.items() if n not in changed}

    def _is_whole(self, name: str, number: int) -> bool:
        try:
            if name:
                self._content.compared(name, number)
            else:
                self._content.compare_whole(number)
        except IntegrityError:
            return False
        return True
