"""Everything of an array artifact, compared with its manifest: contents, text, files, layout."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

from ectool.artifacts.artifact import Artifact
from ectool.artifacts.hashing import digest_arrays
from ectool.artifacts.integrity.endings import ending
from ectool.artifacts.integrity.hdf5_layout import hdf5_problems
from ectool.artifacts.integrity.problem import MISSING, OTHER, Problem
from ectool.artifacts.integrity.sealed_documents import is_sealed
from ectool.artifacts.integrity.zarr_layout import is_written_here, zarr_problems
from ectool.artifacts.manifest import FILE_NAME, Manifest
from ectool.artifacts.schema import spec_of
from ectool.artifacts.store import HDF5_SUFFIXES, Store, open_store
from ectool.errors import EctoolError, MachineError


def array_problems(path: Path) -> list[Problem] | None:
    """Return what has changed in an array artifact; None without a manifest to compare with.

    Cost: every byte is read and hashed once; arrays of earlier versions twice.
    """
    try:
        with Artifact(path, repair=True) as artifact:
            if artifact.manifest is None:
                return _without_manifest(path, artifact.store) or None
            found = [*_manifest_problems(artifact.manifest), *_contents(artifact)]
            found += _layout(artifact, artifact.manifest)
    except MachineError:
        raise
    except Exception as error:  # libraries raise whatever they like for damaged bytes
        return None if _is_foreign(path) else [_of(error, path)]
    return found or _file_problems(path)


def _is_foreign(path: Path) -> bool:
    """Return whether a file or folder can be read, and another program wrote it."""
    with suppress(Exception), closing(open_store(path)) as store:
        return store.manifest() is None and not _without_manifest(path, store)
    return False


def _without_manifest(path: Path, store: Store) -> list[Problem]:
    """Return the damage of an artifact without a manifest, as far as it shows."""
    if path.is_dir() and is_written_here(path, store):
        return [Problem(FILE_NAME, MISSING)]
    return _file_problems(path)


def _of(error: Exception, path: Path) -> Problem:
    """Return the problem of an artifact that cannot be opened."""
    if isinstance(error, EctoolError):
        part = error.subject.removeprefix(str(path)).strip(":/ ")
        return Problem(part or path.name, f"expected {error.expected}, got {error.got}")
    return Problem(path.name, f"cannot be read: {type(error).__name__}: {error}".splitlines()[0])


def _file_problems(path: Path) -> list[Problem]:
    """Return whether any byte of an HDF5 file has changed, also one that holds nothing."""
    is_file = path.suffix in HDF5_SUFFIXES and path.is_file()
    return [Problem(path.name, OTHER)] if is_file and ending(path) == "changed" else []


def _manifest_problems(manifest: Manifest) -> list[Problem]:
    """Return entries of a manifest that contradict each other."""
    length = manifest.shards[-1].stop  # an artifact opens only if its shards follow each other
    if length == manifest.length and manifest.kind == manifest.recipe.kind:
        return []
    return [Problem("manifest", "its shards, its length and its recipe contradict each other")]


def _contents(artifact: Artifact) -> list[Problem]:
    """Return the arrays, shards and attributes that differ from their digests."""
    damage = artifact.damage()
    found = []
    for number, names in damage.items():
        for name in names:
            if name.startswith("attribute "):
                found.append(Problem(f"attribute `{name.removeprefix('attribute ')}`", OTHER))
            else:
                found.append(Problem(f"shard {number}" + (f" of `{name}`" if name else ""), OTHER))
    if found or _is_sealed(artifact):
        return found
    # Without a digest of the manifest, the digests of arrays may not be those behind the id.
    return [
        Problem(f"shard {number}", OTHER)
        for number in range(len(artifact.shards))
        if not _has_digest(artifact, number)
    ]


def _is_sealed(artifact: Artifact) -> bool:
    return is_sealed(artifact.store.manifest() or b"")


def _has_digest(artifact: Artifact, number: int) -> bool:
    """Return whether the digest of a shard, which is part of the id, is that of its arrays."""
    names = [name for name in artifact.arrays if spec_of(artifact.kind, name) is not None]
    arrays = {name: artifact.read(name, *artifact.shards[number]) for name in names}
    wanted = artifact.manifest.shards[number].digest if artifact.manifest else None
    return digest_arrays(arrays) == wanted


def _layout(artifact: Artifact, manifest: Manifest) -> list[Problem]:
    """Return files and descriptions of arrays that differ from what ectool writes."""
    infos = artifact.store.arrays
    known = {n: info for n, info in infos.items() if spec_of(artifact.kind, n) is not None}
    if artifact.path.suffix in HDF5_SUFFIXES:
        return hdf5_problems(artifact.path, artifact.kind, known)
    return zarr_problems(artifact.path, manifest, known, is_strict=_is_sealed(artifact))
