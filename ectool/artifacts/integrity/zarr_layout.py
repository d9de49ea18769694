"""Files of a Zarr artifact: those that must be there, no others, and what describes the arrays."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ectool.artifacts import zarr_store
from ectool.artifacts.chunks.chunk_files import chunk_key
from ectool.artifacts.chunks.single_rows import SingleRows
from ectool.artifacts.chunks.whole import METADATA, Chunks
from ectool.artifacts.integrity.problem import EXTRA, MISSING, OTHER, Problem
from ectool.artifacts.manifest import Manifest, library_versions
from ectool.artifacts.schema import FOREIGN, SCHEMAS, ArrayInfo, spec_of
from ectool.artifacts.store import Store
from ectool.errors import InputError
from ectool.input_files import JSON, read_bytes
from ectool.parsing import MalformedError, parse_json

ATTRIBUTES, CONSOLIDATED = "attributes", "consolidated_metadata"
"""Entries of metadata that users may change."""
LASTING = ("shape", "data_type", "chunk_grid", "fill_value", "dimension_names")
"""Entries that every version of zarr-python writes in the same way."""


def zarr_problems(
    path: Path, manifest: Manifest, arrays: Mapping[str, ArrayInfo], *, is_strict: bool
) -> list[Problem]:
    """Return files that are missing, too many, or describe arrays otherwise than ectool does.

    Args:
        path: The folder.
        manifest: Its manifest.
        arrays: Its arrays that are in the schema.
        is_strict: Whether this version of ectool wrote it, with the installed version of zarr or
            one that writes the same. Otherwise codecs may differ.
    """
    is_strict &= manifest.versions.get("zarr") == library_versions()["zarr"]
    found = [*_extra(path, manifest, arrays)]
    with tempfile.TemporaryDirectory() as scratch:
        like = Path(scratch) / "like.zarr"
        _create_like(like, manifest, arrays)
        for file in sorted(like.rglob(METADATA)):
            name = file.relative_to(like)
            found += _compared(path / name, str(name), _read(file), is_strict=is_strict)
    return found


def is_written_here(path: Path, store: Store) -> bool:
    """Return whether ectool wrote a Zarr folder with a manifest, by the form of its known arrays.

    Copies of artifacts of other programs have the same form, and a mark.
    """
    kind = str(store.attributes.get("schema"))
    if kind not in SCHEMAS or store.attributes.get(FOREIGN):
        return False
    known = (name for name in store.arrays if spec_of(kind, name) is not None)
    forms = [Chunks.of(path / name) or SingleRows.of(path, name) for name in known]
    return bool(forms) and None not in forms


def _create_like(path: Path, manifest: Manifest, arrays: Mapping[str, ArrayInfo]) -> None:
    """Create an artifact of the same arrays, without their contents."""
    zarr_store.create_group(path, {})
    rows = max((shard.stop - shard.start for shard in manifest.shards), default=1)
    for name, info in arrays.items():
        spec = spec_of(manifest.kind, name)
        if spec is not None:
            dtype = np.dtypes.StringDType() if info.kind == "T" else np.dtype(info.dtype)
            sample = np.zeros((1, *info.shape[1:]), dtype)
            zarr_store.create_array(
                path, name, sample, length=manifest.length, rows=rows, spec=spec
            )


def _compared(
    file: Path,
    name: str,
    wanted: Any,  # noqa: ANN401 (any JSON value)
    *,
    is_strict: bool,
) -> list[Problem]:
    """Compare a file of metadata with what ectool writes, except for attributes."""
    if not file.is_file():
        return [Problem(name, MISSING)]
    found = _read(file)
    if not isinstance(found, dict) or not isinstance(found.get(ATTRIBUTES), dict):
        return [Problem(name, OTHER)]
    ours = {ATTRIBUTES: None, CONSOLIDATED: None}
    if not is_strict:
        found, wanted = ({k: one.get(k) for k in LASTING} for one in (found, wanted))
    differing = [
        k for k in {**found, **wanted} if {**found, **ours}.get(k) != {**wanted, **ours}.get(k)
    ]
    return [Problem(name, f"`{key}` is not as it was written") for key in sorted(differing)]


def _read(file: Path) -> Any:  # noqa: ANN401 (any JSON value)
    try:
        return parse_json(read_bytes(file, JSON), allow_nan=True)
    except (InputError, OSError, MalformedError):
        return None


def _extra(path: Path, manifest: Manifest, arrays: Mapping[str, ArrayInfo]) -> Iterator[Problem]:
    """Yield files in the folders of arrays that are neither chunks nor metadata."""
    for name, info in sorted(arrays.items()):
        axes = len(info.shape)
        chunks = {Path(chunk_key(number, axes)) for number in range(len(manifest.shards))}
        for file in sorted((path / name).rglob("*")):
            if file.is_symlink() or not (file.is_dir() or _is_known(file, path / name, chunks)):
                yield Problem(str(file.relative_to(path)), EXTRA, file)


def _is_known(file: Path, folder: Path, chunks: set[Path]) -> bool:
    name = file.relative_to(folder)
    return name == Path(METADATA) or name in chunks
