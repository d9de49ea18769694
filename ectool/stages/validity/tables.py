"""Tables: everything that is measured on the images of one checkpoint, one file each."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts import files
from ectool.artifacts.hashing import digest_json
from ectool.config import StudyConfig
from ectool.errors import InputError, IntegrityError
from ectool.input_files import TABLE, read_bytes
from ectool.parsing import parse_json
from ectool.stages.validity.versions import Version
from ectool.writing import write_atomic

KEY, RECORD, CLUSTERS = "key", "record", "clusters"
MEASURES = 1
"""Version of what is measured; a change of a definition raises it."""
_NO_COMMENT = bytes(2)
"""The last bytes of a zip archive without a comment: its length."""
_DIGITS = 64
"""Length of a SHA-256 (hex)."""


@dataclass(frozen=True)
class Table:
    """What was measured on the images of one checkpoint.

    Attributes:
        record: The checkpoint: data, rho, seed, epoch, accuracy, gap, radii.
        clusters: Object of each image; several images show the same object.
        columns: One number per image, by name; see `Measurement.columns`.
    """

    record: dict[str, Any]
    clusters: np.ndarray[tuple[int], np.dtype[np.int64]]
    columns: dict[str, np.ndarray[tuple[int], np.dtype[np.float32]]]


def table_key(
    config: StudyConfig, model: str, fingerprints: list[str], versions: Iterable[Version]
) -> str:
    """Return the SHA-256 (hex) of everything that can change a table.

    Args:
        config: Options of the study.
        model: Id of the model.
        fingerprints: Fingerprints of all data that are read.
        versions: The versions that are measured.
    """
    names = ("backgrounds", "donors", "layers", "levels", "steps")
    return digest_json(
        {
            "measures": MEASURES,
            "model": model,
            "data": fingerprints,
            "versions": [str(version) for version in versions],
            **config.model_dump(mode="json", include=set(names)),
        }
    )


def write_table(path: Path, table: Table, key: str) -> None:
    """Write a table; other processes see either none or the whole file."""
    buffer = io.BytesIO()
    arrays = {KEY: np.array(key), RECORD: np.array(json.dumps(table.record, sort_keys=True))}
    np.savez(buffer, allow_pickle=False, **arrays, **{CLUSTERS: table.clusters}, **table.columns)
    files.make_folder(path.parent)
    write_atomic(path, _sealed(buffer.getvalue()))


def has_key(path: Path, key: str) -> bool:
    """Return whether a table exists and has a key."""
    if not path.is_file():
        return False
    with _opened(path) as found:
        return str(found[KEY]) == key


def remove_damaged(path: Path) -> bool:
    """Remove what is no intact table; return whether there was such a thing."""
    if not path.exists():
        return False
    try:
        read_table(path)
    except (InputError, IntegrityError, IsADirectoryError):
        files.remove(path)
        return True
    return False


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        IntegrityError: The file is not a table, or has changed since it was written.
        InputError: The path is not a regular file, or is too large.
    """
    with _opened(path) as found:
        names = [name for name in found if name not in (KEY, RECORD, CLUSTERS)]
        return Table(
            record=parse_json(str(found[RECORD]), allow_nan=True),
            clusters=found[CLUSTERS],
            columns={name: found[name] for name in names},
        )


@contextmanager
def _opened(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open the arrays of a table whose bytes are those that were written."""
    archive = _unsealed(read_bytes(path, TABLE))
    if archive is None:
        raise IntegrityError(
            str(path), expected="a table of this study", got="another file", fix="remove it"
        )
    with np.load(io.BytesIO(archive), allow_pickle=False) as found:
        yield found


def _sealed(archive: bytes) -> bytes:
    """Return a zip archive without a comment with one: the SHA-256 of its bytes.

    The archive has sums of its contents alone: names and places of its parts have none.
    """
    digest = hashlib.sha256(archive).hexdigest().encode()
    return archive.removesuffix(_NO_COMMENT) + len(digest).to_bytes(2, "little") + digest


def _unsealed(data: bytes) -> bytes | None:
    """Return the archive that was written; None for any other bytes."""
    archive = data[: -len(_NO_COMMENT) - _DIGITS] + _NO_COMMENT
    return archive if _sealed(archive) == data else None
