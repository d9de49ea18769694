"""Rows of an unfinished artifact that another process computed: a file for each batch.

One process writes the shards of an artifact. The others leave their rows beside it, in
`NAME.partial-<key>/pieces`. A piece stays until its shard is finished, so that a killed job goes on
from it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ectool.artifacts import files
from ectool.artifacts.jobs.sealed import changed, read_sealed, write_sealed
from ectool.artifacts.schema import Arrays

FINDINGS = "findings"
"""Name of the findings in a file; arrays are in `arrays/NAME`."""
PREFIX = "arrays/"


class Rows(NamedTuple):
    """The range [start, stop) of the rows of a batch."""

    start: int
    stop: int


class Pieces:
    """The pieces of an unfinished artifact.

    Args:
        folder: Folder of the unfinished artifact.

    Attributes:
        lost: Paths of the damaged pieces in the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "pieces"
        self.lost: list[str] = []

    def keep(self, wanted: Iterable[Rows]) -> list[Rows]:
        """Remove pieces other than the wanted ones, and damaged ones; return those to compute."""
        names = {self._path(rows).name: rows for rows in wanted}
        files.make_folder(self.folder)
        for path in sorted(self.folder.iterdir()):
            if path.name in names and read_sealed(path) is not None:
                del names[path.name]
                continue
            if path.name in names:
                self.lost.append(f"{self.folder.name}/{path.name}")
            files.remove(path)
        return list(names.values())

    def write(self, rows: Rows, arrays: Arrays, findings: dict[str, int]) -> None:
        """Write a piece, atomically."""
        columns = {PREFIX + name: _storable(values) for name, values in arrays.items()}
        columns[FINDINGS] = np.frombuffer(json.dumps(findings).encode(), np.uint8)
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **columns)
        write_sealed(self._path(rows), stream.getvalue())

    def read(self, rows: Rows) -> tuple[Arrays, dict[str, int]]:
        """Return arrays and findings of a piece.

        Raises:
            IntegrityError: It has changed since it was written; the next run computes it again.
        """
        content = read_sealed(self._path(rows))
        if content is None:
            raise changed(self._path(rows))
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            arrays = {
                name.removeprefix(PREFIX): _restored(found[name])
                for name in found.files
                if name.startswith(PREFIX)
            }
            findings: dict[str, int] = json.loads(found[FINDINGS].tobytes())
        return arrays, findings

    def remove(self, rows: Iterable[Rows]) -> None:
        """Remove pieces."""
        for one in rows:
            files.remove(self._path(one))

    def _path(self, rows: Rows) -> Path:
        return self.folder / f"{rows.start:012d}-{rows.stop:012d}.npz"


def _storable(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array without strings of variable length, which a file cannot hold."""
    return np.array(values.tolist(), np.str_) if values.dtype.kind == "T" else values


def _restored(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return values.astype(np.dtypes.StringDType()) if values.dtype.kind == "U" else values
