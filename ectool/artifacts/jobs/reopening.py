"""Finished artifacts that have changed, turned back into unfinished ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.content import DECODING
from ectool.artifacts.integrity.arrays import array_problems
from ectool.artifacts.integrity.endings import ending
from ectool.artifacts.jobs import writers
from ectool.artifacts.manifest import Manifest, Recipe, Shard
from ectool.artifacts.own import record_own, save_own
from ectool.artifacts.partial import growing
from ectool.artifacts.schema import Arrays, spec_of
from ectool.artifacts.store import HDF5_SUFFIXES, read_manifest
from ectool.errors import InputError, IntegrityError


def reopen(output: Path, recipe: Recipe, *, shard_size: int) -> list[int] | None:
    """Turn a finished output that has changed back into an unfinished one with its intact shards.

    Arrays and files of users stay in it.

    Returns:
        The numbers of the shards that are damaged, maybe none; None (and the output unchanged) if
        everything is as it was written.
    """
    problems = array_problems(output) or ()
    manifest = read_manifest(output)
    if manifest is None or all(problem.extra is not None for problem in problems):
        return None
    kept = set[int]()
    try:
        with Artifact(output, recipe.kind, repair=True) as artifact:
            kept = _keep(artifact, manifest, recipe, shard_size)
    except (InputError, IntegrityError, *DECODING):  # nothing in it can be read
        with writers.held(output):
            files.move_aside(output, "damaged")
    return [number for number in range(len(manifest.shards)) if number not in kept]


def _keep(artifact: Artifact, manifest: Manifest, recipe: Recipe, shard_size: int) -> set[int]:
    """Write the intact shards into the unfinished output; return their numbers."""
    output, kept, attributes = artifact.path, set[int](), artifact.intact_attributes()
    with growing(
        output,
        recipe,
        length=manifest.length,
        shard_size=shard_size,
        attributes=attributes,
        begun_with=manifest.versions,
        is_repaired=True,
    ) as partial:
        _keep_own(output, _names(artifact, manifest), partial.own)
        if manifest.findings:
            partial.record_findings(manifest.findings)
        for number, shard in enumerate(manifest.shards):
            arrays = _intact(artifact, shard, shard.arrays or _names(artifact, manifest))
            is_attributed = number > 0 or manifest.attributes.keys() <= attributes.keys()
            if arrays is not None and is_attributed:  # the first one brings lost attributes back
                partial.write(number, arrays, shard.findings)
                kept.add(number)
        files.move_aside(output, "damaged")
    return kept


def _names(artifact: Artifact, manifest: Manifest) -> set[str]:
    """Return the names of the arrays that a stage wrote."""
    known = {name for shard in manifest.shards for name in shard.arrays}
    return known | {n for n in artifact.store.arrays if spec_of(artifact.kind, n) is not None}


def _keep_own(output: Path, ours: Collection[str], folder: Path) -> None:
    """Save what users have added, unless nobody can have added anything, or it cannot be read."""
    if output.suffix in HDF5_SUFFIXES and ending(output) == "changed":
        return  # HDF5 can crash on it, and what users change has no digest
    try:
        save_own(output, ours, folder)
    except (OSError, RuntimeError, KeyError):  # it stays in the output that is moved aside
        files.remove(folder)
        return
    record_own(folder)


def _intact(artifact: Artifact, shard: Shard, names: Iterable[str]) -> Arrays | None:
    """Return the arrays of a shard; None if one is missing or has changed."""
    try:
        return {name: artifact.read(name, shard.start, shard.stop) for name in names}
    except (InputError, IntegrityError, *DECODING):
        return None


def set_aside_unreadable(output: Path) -> str:
    """Move an output aside whose manifest is damaged, so that it is computed again.

    Returns:
        Where it is, and why; empty if the manifest can be read, or there is none.
    """
    try:
        read_manifest(output)
    except (InputError, IntegrityError) as error:
        with writers.held(output):
            aside = files.move_aside(output, "damaged")
        return f"{error.subject}: {error.got}; now {aside.name}"
    return ""
