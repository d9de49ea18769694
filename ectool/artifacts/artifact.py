"""Reading array artifacts, whoever wrote them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ectool.artifacts.hashing import digest_arrays, digest_json
from ectool.artifacts.manifest import Shard, parse_manifest
from ectool.artifacts.schema import (
    SCHEMAS,
    VERSION,
    ArrayInfo,
    Arrays,
    check,
    check_finite,
    spec_of,
)
from ectool.artifacts.store import RowReader, open_store
from ectool.errors import InputError, IntegrityError

FOREIGN_ROWS = 4096
"""Rows read at a time from an artifact that came without a manifest."""


class Artifact:
    """An open array artifact: checked against its schema, read by rows or by shards.

    Args:
        path: A `.zarr` folder or an `.h5` file.
        kind: Schema it must follow; the one its manifest or root attribute names unless given.

    Raises:
        InputError: It is missing, follows another schema, or misses arrays.
    """

    def __init__(self, path: Path, kind: str | None = None) -> None:
        self.path = path
        self.store = open_store(path)
        text = self.store.manifest()
        self.manifest = None if text is None else parse_manifest(text, path)
        self.kind = self._find_kind(kind)
        self._kept: dict[str, tuple[int, np.ndarray[Any, Any]]] = {}
        self._raw: dict[str, RowReader | None] = {}
        if self.manifest is None:
            _ = self.arrays

    @cached_property
    def arrays(self) -> dict[str, ArrayInfo]:
        """Return shape and kind of every array, checked against the schema.

        Raises:
            InputError: An array is missing, or does not fit. Already raised on opening where
                there is no manifest, which would vouch for the contents.
        """
        arrays = self.store.arrays
        check(self.kind, arrays, str(self.path))
        return arrays

    def _find_kind(self, wanted: str | None) -> str:
        """Return the schema's name, refusing another than the wanted one."""
        attributes = self.store.attributes
        found = self.manifest.kind if self.manifest else attributes.get("schema")
        if attributes.get("version", VERSION) != VERSION:
            raise InputError(
                str(self.path),
                expected=f"schema version {VERSION}",
                got=repr(attributes["version"]),
                fix="use the ectool that reads it, or write it as docs/artifacts.md says",
            )
        if str(found) not in SCHEMAS or wanted not in (None, found):
            raise InputError(
                str(self.path),
                expected=f"a {wanted} artifact" if wanted else "a root attribute `schema`",
                got=f"schema {found!r}",
                fix="give the artifact that the stage reads (see `ectool inspect`)",
            )
        return str(found)

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
        """Let go of open files."""
        self.store.close()

    def __len__(self) -> int:
        return self.arrays["sample_id"].shape[0]

    @cached_property
    def shards(self) -> tuple[tuple[int, int], ...]:
        """Return the [start, stop) row ranges of the shards."""
        if self.manifest is not None:
            return tuple((shard.start, shard.stop) for shard in self.manifest.shards)
        starts = range(0, len(self), FOREIGN_ROWS)
        return tuple((start, min(start + FOREIGN_ROWS, len(self))) for start in starts)

    @cached_property
    def id(self) -> str:
        """Return the content id; computed from the contents where there is no manifest."""
        if self.manifest is not None:
            return self.manifest.id
        digests = [digest_arrays(arrays) for _, arrays in self.iterate()]
        return digest_json({"kind": self.kind, "shards": digests, "files": {}})

    @cached_property
    def sample_ids(self) -> list[str]:
        """Return the sample ids.

        Raises:
            InputError: One is there twice.
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
            IntegrityError: The bytes do not match their checksum.
            InputError: The array is not there, or holds NaN or infinity where none may be.
        """
        if name not in self.arrays:
            raise InputError(
                f"{self.path}: {name}",
                expected=f"the array `{name}`",
                got="arrays " + ", ".join(sorted(self.arrays)),
                fix="make the artifact with it",
            )
        stop = len(self) if stop is None else stop
        touched = [(first, last) for first, last in self.shards if first < stop and start < last]
        if len(touched) == 1:
            first, last = touched[0]
            return self._shard(name, first, last)[start - first : stop - first]
        if not touched:
            return self._read(name, start, stop)
        cuts = [start, *(first for first, _ in touched[1:]), stop]
        return np.concatenate([self._read(name, *cut) for cut in pairwise(cuts)])

    def take(self, name: str, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        """Return rows of an array in any order.

        Fast where the schema stores the array raw and Zarr holds it; elsewhere every shard that
        is touched is read as a whole.

        Raises:
            IntegrityError: The bytes do not match their checksum.
            InputError: The array is not there.
        """
        raw = self._reader(name)
        if raw is None:
            return self._gather(name, rows)
        try:
            return raw(rows)
        except OSError as error:
            raise self._damaged(name, int(rows[0]), str(error)) from error

    def is_raw(self, name: str) -> bool:
        """Tell whether any rows of an array can be taken at the cost of reading them alone."""
        return self._reader(name) is not None

    def _reader(self, name: str) -> RowReader | None:
        if name not in self._raw:
            self._raw[name] = self.store.raw_rows(name, spec_of(self.kind, name))
        return self._raw[name]

    def _gather(self, name: str, rows: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        info = self.arrays[name]
        found = np.empty((len(rows), *info.shape[1:]), self.read(name, 0, 1).dtype)
        for start, stop in self.shards:
            inside = (start <= rows) & (rows < stop)
            if inside.any():
                found[inside] = self.read(name, start, stop)[rows[inside] - start]
        return found

    def _shard(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Return a whole shard of an array, kept until another one is wanted.

        Chunks are whole shards, so a batch costs as much to read as its shard.
        """
        kept = self._kept.get(name)
        if kept is None or kept[0] != start:
            kept = self._kept[name] = (start, self._read(name, start, stop))
        return kept[1]

    def _read(self, name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        try:
            values = self.store.read(name, start, stop)
        except (OSError, RuntimeError, ValueError) as error:
            raise self._damaged(name, start, str(error)) from error
        check_finite(self.kind, name, values, f"{self.path}: {name}", start)
        return values

    @cached_property
    def columns(self) -> list[str]:
        """Return the names of the arrays that hold a row per sample: all that a schema knows."""
        infos = sorted(self.arrays.items())
        return [name for name, info in infos if info.shape[:1] == (len(self),)]

    def iterate(self) -> Iterator[tuple[int, Arrays]]:
        """Yield (first row, all columns) shard by shard.

        Raises:
            IntegrityError: A shard is not what was written.
        """
        for number, (start, stop) in enumerate(self.shards):
            arrays = self._rows(start, stop)
            if self.manifest and digest_arrays(arrays) != self.manifest.shards[number].digest:
                raise self._damaged("", start, "others")
            yield start, arrays

    def _rows(self, start: int, stop: int) -> Arrays:
        return {name: self.read(name, start, stop) for name in self.columns}

    def verify(self) -> list[int]:
        """Return the numbers of the shards whose contents are not what was written."""
        if self.manifest is None:
            return []
        return [n for n, shard in enumerate(self.manifest.shards) if not self.is_whole(shard)]

    def is_whole(self, shard: Shard) -> bool:
        """Tell whether a shard's contents are what was written."""
        try:
            return digest_arrays(self._rows(shard.start, shard.stop)) == shard.digest
        except IntegrityError:
            return False

    def _damaged(self, name: str, row: int, detail: str) -> IntegrityError:
        number = next((n for n, (start, stop) in enumerate(self.shards) if start <= row < stop), 0)
        return IntegrityError(
            f"{self.path}: shard {number}" + (f" of `{name}`" if name else ""),
            expected="the bytes that were written",
            got=detail.splitlines()[0] if detail else "damaged bytes",
            fix="run the stage that made it again with --resume",
        )
