"""Rows of the arrays of an artifact, compared with their digests when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts.checked import Checked
from ectool.artifacts.chunks.seal import ChunkError
from ectool.artifacts.hashing import digest_arrays
from ectool.artifacts.schema import check_finite, spec_of
from ectool.artifacts.store import RowReader, Store
from ectool.errors import InputError, IntegrityError
from ectool.remote.reading import ahead, distrust

DECODING = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)
"""Errors of libraries that decode damaged bytes, or an array whose description has changed."""
Rows = np.ndarray[Any, np.dtype[np.int64]]
Values = np.ndarray[Any, Any]


class Content:
    """The arrays of an open store.

    Args:
        path: Path of the store, for messages.
        store: The store.
        checked: Digests, and the arrays that have been compared.
        shards: Rows [start, stop) of each shard.
    """

    def __init__(
        self, path: Path, store: Store, checked: Checked, shards: tuple[tuple[int, int], ...]
    ) -> None:
        self.path = path
        self.store = store
        self.kind = checked.kind
        self.checked = checked
        self.shards = shards
        self._kept: dict[str, tuple[int, Values]] = {}
        self._raw: dict[str, RowReader | None] = {}

    def take(self, name: str, rows: Rows) -> Values:
        """Return rows of an array in any order; see `Artifact.take`."""
        raw = self.raw(name)
        if raw is None:
            return self._gather(name, rows)
        self._compare_old(name, rows)
        try:
            return raw(rows)
        except ChunkError as error:
            raise self._damaged(name, error.number, str(error)) from error

    def raw(self, name: str) -> RowReader | None:
        """Return the reader of single rows, or None if the array is not stored raw."""
        if name not in self._raw:
            spec, seals = spec_of(self.kind, name), self.checked.seals(name)
            self._raw[name] = self.store.raw_rows(name, spec, seals)
        return self._raw[name]

    def _compare_old(self, name: str, rows: Rows) -> None:
        """Compare the shards of rows as a whole, if an earlier version wrote them."""
        for number, (start, stop) in enumerate(self.shards):
            due = self.checked.is_due(name, number) and self.checked.digest(name, number) is None
            if due and ((start <= rows) & (rows < stop)).any():
                self.compare_whole(number)

    def _gather(self, name: str, rows: Rows) -> Values:
        none = self.load(name, 0, 0)
        found = np.empty((len(rows), *none.shape[1:]), none.dtype)
        for number, (start, stop) in enumerate(self.shards):
            inside = (start <= rows) & (rows < stop)
            if inside.any():
                found[inside] = self.shard(name, number)[rows[inside] - start]
        return found

    def shard(self, name: str, number: int) -> Values:
        """Return a whole shard of an array; keep it until another shard is read.

        Chunks are whole shards, so a batch costs as much to read as its shard.
        """
        kept = self._kept.get(name)
        if kept is None or kept[0] != number:
            values, start = self.compared(name, number), self.shards[number][0]
            check_finite(self.kind, name, values, f"{self.path}: {name}", start)
            kept = self._kept[name] = (number, values)
        return kept[1]

    def compared(self, name: str, number: int) -> Values:
        """Return a whole shard of an array; compare it with its digest the first time.

        Raises:
            IntegrityError: It has changed since it was written.
        """
        ahead(self.path, (name,), number)
        values = self.load(name, *self.shards[number])
        if self.checked.is_due(name, number):
            digest = self.checked.digest(name, number)
            if digest is None:
                self.compare_whole(number)
            elif digest_arrays({name: values}) != digest:
                raise self._damaged(name, number, "others")
            self.checked.add(name, number)
        return values

    def compare_whole(self, number: int) -> None:
        """Compare a shard whose manifest has one digest of all arrays.

        Raises:
            IntegrityError: It has changed since it was written.
        """
        known = [name for name in self.store.arrays if spec_of(self.kind, name) is not None]
        arrays = {name: self.load(name, *self.shards[number]) for name in known}
        if digest_arrays(arrays) != self.checked.shards[number].digest:
            raise self._damaged("", number, "others")
        for name in known:
            self.checked.add(name, number)

    def load(self, name: str, start: int, stop: int) -> Values:
        """Return rows without comparing them.

        Raises:
            IntegrityError: They cannot be read.
            InputError: Another program wrote text that is not valid.
        """
        try:
            return self.store.read(name, start, stop)
        except DECODING as error:
            if isinstance(error, UnicodeDecodeError) and not self.checked.shards:
                raise unreadable(self.path, self.kind, name, "text that is not UTF-8") from error
            number = next((n for n, (_, last) in enumerate(self.shards) if start < last), 0)
            raise self._damaged(name, number, str(error)) from error

    def _damaged(self, name: str, number: int, detail: str) -> IntegrityError:
        distrust(self.path)
        return unlike(
            self.path,
            f"shard {number}" + (f" of `{name}`" if name else ""),
            detail.splitlines()[0] if detail else "damaged bytes",
        )


def unlike(path: Path, part: str, got: str = "others") -> IntegrityError:
    """Return the error of a part of an artifact that has changed."""
    return IntegrityError(
        f"{path}: {part}",
        expected="the bytes that were written",
        got=got,
        fix="run the stage that made it again with --resume",
    )


def unreadable(path: Path, kind: str, name: str, reason: str) -> InputError:
    """Return the error of a required array that cannot be read."""
    return InputError(
        f"{path}: {name}",
        expected=f"the array `{name}` of a {kind} artifact",
        got=reason,
        fix="write it as docs/artifacts.md describes",
    )
