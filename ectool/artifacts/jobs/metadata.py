"""Metadata of the arrays of an unfinished output: created, recorded, compared, restored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ectool.artifacts import files, zarr_store
from ectool.artifacts.chunks.chunk_files import chunk_key
from ectool.artifacts.chunks.whole import METADATA
from ectool.artifacts.jobs.sealed import read_table, write_table
from ectool.artifacts.schema import Arrays, ArraySpec, spec_of
from ectool.writing import write_atomic

STORE = "store.zarr"


class Form(NamedTuple):
    """The form of an output.

    Attributes:
        kind: Its schema.
        length: Number of samples.
        rows: Samples per shard.
        attributes: Root attributes.
    """

    kind: str
    length: int
    rows: int
    attributes: Mapping[str, Any]


def create(folder: Path, arrays: Arrays, form: Form) -> None:
    """Create the group, and the arrays that do not exist; record their metadata.

    Args:
        folder: Folder of the unfinished output, whose lock `creating` is held.
        arrays: Rows of the arrays.
        form: The form of the output.
    """
    restore(folder)
    store = folder / STORE
    zarr_store.create_group(store, form.attributes)
    for name, values in arrays.items():
        if not (store / name / METADATA).exists():
            spec = _spec(form.kind, name)
            zarr_store.create_array(
                store, name, values, length=form.length, rows=form.rows, spec=spec
            )
    _record(folder, arrays)


def _spec(kind: str, name: str) -> ArraySpec:
    spec = spec_of(kind, name)
    if spec is None:
        raise KeyError(f"the schema {kind} has no array {name}")
    return spec


def _record(folder: Path, names: Iterable[str]) -> None:
    """Record the metadata of arrays and of their groups, right after it was written."""
    parents = {parent for name in names for parent in (Path(name), *Path(name).parents)}
    paths = sorted((parent / METADATA).as_posix() for parent in parents)
    known = recorded(folder)
    found = known | {path: (folder / STORE / path).read_text() for path in paths}
    if found != known:
        write_table(folder / files.ARRAYS_FILE, found)


def recorded(folder: Path) -> dict[str, str]:
    """Return the recorded metadata by path in the store; empty if it is missing or damaged."""
    return read_table(folder / files.ARRAYS_FILE)


def changed(folder: Path) -> list[str]:
    """Return the paths in the store whose metadata is not what was recorded."""
    return [path for path, text in recorded(folder).items() if not _has(folder, path, text)]


def restore(folder: Path) -> None:
    """Write the recorded metadata again where it has changed."""
    texts = recorded(folder)
    for path in changed(folder):
        clear(folder / STORE, path)
        write_atomic(folder / STORE / path, texts[path].encode())


def _has(folder: Path, path: str, text: str) -> bool:
    """Return whether a file of the store has a text."""
    file = folder / STORE / path
    try:
        return file.is_file() and file.read_bytes() == text.encode()
    except OSError:
        return False


def clear(store: Path, path: str) -> None:
    """Remove what is no folder above a file of the store, and what is no file in its place."""
    for parent in reversed(Path(path).parents):
        files.as_folder(store / parent)
    files.clear(store / path)


def chunks(texts: Mapping[str, str], numbers: Iterable[int]) -> Iterator[str]:
    """Yield the paths of the chunks of shards, from the metadata of all arrays."""
    sides = {path: len(json.loads(text).get("shape", ())) for path, text in texts.items()}
    for number in numbers:
        for path, count in sides.items():
            if count:
                yield chunk(path.rpartition("/")[0], number, count)


def chunk(name: str, number: int, axes: int) -> str:
    """Return the path of the chunk of a shard.

    Args:
        name: Name of the array.
        number: Number of the shard.
        axes: Number of dimensions of the array.
    """
    return f"{name}/{chunk_key(number, axes)}"
