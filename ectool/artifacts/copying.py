"""Copying an array artifact into a new store of either format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ectool.artifacts import hdf5_store, zarr_store
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.manifest import FILE_NAME, Manifest
from ectool.artifacts.schema import FOREIGN, SAMPLE, Arrays, ArraySpec, spec_of
from ectool.artifacts.store import HDF5_SUFFIXES
from ectool.errors import InputError
from ectool.types import Advance
from ectool.writing import write_atomic


def copy(
    artifact: Artifact, target: Path, manifest: Manifest | None, advance: Advance = lambda _: None
) -> Path:
    """Write all arrays, the root attributes and a manifest, in the format of the target's suffix.

    Arrays that are not in the schema are copied too. Objects that are not arrays of numbers or
    text are left out: `artifact.store.unreadable` names them.

    Raises:
        InputError: There are no samples.
        IntegrityError: A shard has changed since it was written.
    """
    if len(artifact) == 0:
        raise InputError(
            str(artifact.path), expected="at least one sample", got="none", fix="make it again"
        )
    if target.suffix in HDF5_SUFFIXES:
        _to_hdf5(artifact, target, manifest, advance)
    else:
        _to_zarr(artifact, target, manifest, advance)
    return target


def _rows(artifact: Artifact) -> int:
    """Return the number of rows of a chunk: those of the first shard, which is the largest."""
    start, stop = artifact.shards[0]
    return stop - start


def _spec(artifact: Artifact, name: str) -> ArraySpec:
    """Return the specification of an array; for one without, derive it from its shape."""
    info, spec = artifact.arrays[name], spec_of(artifact.kind, name)
    if spec is None:
        axes = [f"axis_{axis}" for axis in range(len(info.shape))]
        return ArraySpec(info.kind, (SAMPLE, *axes[1:]) if name in artifact.columns else (*axes,))
    return replace(spec, dims=spec.dims_of(len(info.shape)) or spec.dims)


def _others(artifact: Artifact) -> Arrays:
    """Return the arrays without a row for each sample; none of them is in the schema."""
    names = artifact.arrays.keys() - set(artifact.columns)
    return {name: artifact.read(name) for name in sorted(names)}


def _shards(artifact: Artifact, advance: Advance) -> Iterator[tuple[int, Arrays]]:
    for start, arrays in artifact.iterate():
        yield start, arrays
        advance(len(arrays["sample_id"]))


def _to_hdf5(artifact: Artifact, target: Path, manifest: Manifest | None, advance: Advance) -> None:
    hdf5_store.write_file(
        target,
        _shards(artifact, advance),
        _others(artifact),
        length=len(artifact),
        rows=_rows(artifact),
        dims={name: _spec(artifact, name).dims for name in artifact.arrays},
        attributes=artifact.store.attributes,
        manifest=manifest.to_bytes() if manifest else None,
    )


def _to_zarr(artifact: Artifact, target: Path, manifest: Manifest | None, advance: Advance) -> None:
    mark = {} if manifest else {FOREIGN: True}
    zarr_store.create_group(target, {**artifact.store.attributes, **mark})
    for start, arrays in _shards(artifact, advance):
        for name, values in arrays.items():
            if start == 0:
                zarr_store.create_array(
                    target,
                    name,
                    values,
                    length=len(artifact),
                    rows=_rows(artifact),
                    spec=_spec(artifact, name),
                )
            zarr_store.write_rows(target, name, start, values)
    for name, values in _others(artifact).items():
        zarr_store.write_whole(target, name, values, _spec(artifact, name))
    if manifest is not None:
        write_atomic(target / FILE_NAME, manifest.to_bytes())
