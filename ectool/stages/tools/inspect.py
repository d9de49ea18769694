"""`inspect`: kind, contents, findings and provenance of an artifact."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ectool import urls
from ectool.artifacts import folder, versions
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.integrity.arrays import array_problems
from ectool.artifacts.integrity.problem import Problem
from ectool.artifacts.manifest import FILE_NAME, Manifest, Parent
from ectool.artifacts.store import HDF5_SUFFIXES, ZARR_SUFFIX, read_manifest
from ectool.config import InspectConfig
from ectool.errors import InputError, IntegrityError, listed
from ectool.parsing import read_json
from ectool.remote.reading import look
from ectool.stages.common.code import code_digest
from ectool.stages.common.found_models import CODE
from ectool.stages.common.inputs import split_name
from ectool.stages.tools.verify.verdict import BAD, with_missing_manifests
from ectool.stages.tools.verify.walk import walk
from ectool.types import SILENT, Reporter

JSON_SUFFIX = ".json"


def run(config: InspectConfig, reporter: Reporter = SILENT) -> dict[str, Any]:  # noqa: ARG001
    """Describe an artifact.

    Returns:
        JSON values: `kind`, `id`, `key`, `arrays` or `files`, `statistics`, `findings`, `config`,
        `versions`, `other_versions` (those that differ from the installed ones), `machine`,
        `provenance` (a list from the artifact back to the data), `verified`.

    Raises:
        InputError: The path is not an artifact, or it follows no schema.
        IntegrityError: With `verify`: the contents have changed.
    """
    path = config.artifact
    if path.suffix in (ZARR_SUFFIX, *HDF5_SUFFIXES):
        with Artifact(path) as artifact:
            return {
                **_summary(path, artifact.kind, artifact.id, artifact.manifest),
                **_arrays(artifact, verify=config.verify),
            }
    if not (path / FILE_NAME).exists():
        raise InputError(
            str(path),
            expected="an artifact",
            got="no such file" if not path.exists() else f"a path without {FILE_NAME}",
            fix="give a .zarr, an .h5, a model or an evaluation",
        )
    manifest = folder.open_folder(path, None)
    return {
        **_summary(path, manifest.kind, manifest.id, manifest),
        **_files(path, manifest, verify=config.verify),
    }


def _summary(path: Path, kind: str, id: str, manifest: Manifest | None) -> dict[str, Any]:
    """Return the values that all kinds of artifacts have."""
    if manifest is None:
        return {"path": str(path), "kind": kind, "id": id, "key": None, "provenance": []}
    source = manifest.recipe.source
    return {
        "path": str(path),
        "kind": kind,
        "id": id,
        "key": manifest.key,
        "stage": manifest.recipe.stage,
        "config": manifest.recipe.config,
        "data": source.model_dump() if source else None,
        "versions": manifest.versions,
        "other_versions": versions.differing(manifest.versions),
        "machine": manifest.machine,
        "findings": manifest.all_findings(),
        "provenance": provenance(path, manifest),
    }


def provenance(path: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """Return all ancestors of an artifact, each once.

    Returns:
        One entry per ancestor, nearest first: `role`, `kind`, `id`, `path`, `state` (`found`,
        `missing`, or `changed` if the path has another artifact now), the `data` it read, and
        `other_versions`: of libraries whose installed version differs.
    """
    chain: list[dict[str, Any]] = []
    seen: set[str] = set()
    waiting = [(path, parent) for parent in manifest.recipe.parents]
    while waiting:
        child, parent = waiting.pop(0)
        if parent.id in seen:
            continue
        seen.add(parent.id)
        where = urls.place(child.absolute().parent, parent.path)
        state, found = _state(parent, where)
        chain.append(_ancestor(parent, where, state, found))
        if found is not None:
            waiting += [(where, grandparent) for grandparent in found.recipe.parents]
    return chain


def _state(parent: Parent, where: Path) -> tuple[str, Manifest | None]:
    """Return the state of a parent, and its manifest if it exists."""
    if parent.kind == CODE:
        return _state_of_code(parent), None
    try:
        look(where)
        if not where.exists():
            return "missing", None
        found = read_manifest(where)
    except (InputError, IntegrityError):
        return "changed", None
    if found is not None and found.id != parent.id:
        return "changed", None
    return "found", found


def _state_of_code(parent: Parent) -> str:
    try:
        return "found" if code_digest(parent.path) == parent.id else "changed"
    except InputError:
        return "missing"


def _ancestor(parent: Parent, where: Path, state: str, found: Manifest | None) -> dict[str, Any]:
    source = found.recipe.source if found else None
    return {
        "role": parent.role,
        "kind": parent.kind,
        "id": parent.id,
        "path": parent.path if parent.kind == CODE else str(where),
        "state": state,
        "data": split_name(source.data, source.split) if source else None,
        "other_versions": versions.differing(found.versions) if found else {},
    }


def _arrays(artifact: Artifact, *, verify: bool) -> dict[str, Any]:
    """Return shapes and statistics of the arrays of an array artifact."""
    if verify:
        _refuse(artifact.path, array_problems(artifact.path) or [])
    return {
        "samples": len(artifact),
        "arrays": {
            name: {"shape": list(info.shape), "dtype": info.dtype}
            for name, info in sorted(artifact.arrays.items())
        },
        "statistics": {
            name: _statistics(artifact, name)
            for name, info in sorted(artifact.arrays.items())
            if name in artifact.columns and (info.kind in "fb" or name == "image")
        },
        "verified": verify,
    }


def _refuse(path: Path, problems: Sequence[Problem]) -> None:
    """Raise the error of an artifact that has problems."""
    if problems:
        raise IntegrityError(
            str(path),
            expected="the bytes that were written",
            got=listed([str(problem) for problem in problems]),
            fix="run the stage that made it again with --resume",
        )


def _problems(path: Path) -> Iterator[Problem]:
    """Yield what `verify` finds in a folder artifact, and in the artifacts inside."""
    verdicts = with_missing_manifests([place.judge(place.path) for place in walk(path)])
    for verdict in verdicts:
        if verdict.state in BAD:
            where = verdict.path.relative_to(path)
            yield from (
                problem if where == Path() else Problem(str(where), str(problem))
                for problem in verdict.problems
            )


def _statistics(artifact: Artifact, name: str) -> dict[str, float | int | None]:
    """Return minimum, mean and maximum of the finite values, and the number of others."""
    low, high, total, count, other = np.inf, -np.inf, 0.0, 0, 0
    for start, stop in artifact.shards:
        values = artifact.read(name, start, stop)
        if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
            other += values.size - int(finite.sum())
            values = values[finite]
        if values.size:
            low, high = min(low, values.min()), max(high, values.max())
            total += float(values.sum(dtype=np.float64))
            count += values.size
    known = count > 0
    return {
        "min": float(low) if known else None,
        "mean": total / count if known else None,
        "max": float(high) if known else None,
        "undefined": other,
    }


def _files(path: Path, manifest: Manifest, *, verify: bool) -> dict[str, Any]:
    """Return the files of a folder artifact, and the contents of its JSON files."""
    if verify:
        _refuse(path, list(_problems(path)))
    for name in manifest.files:
        if name.endswith(JSON_SUFFIX) or not (path / name).exists():
            folder.verify_file(path / name, manifest)
    return {
        "files": {name: (path / name).stat().st_size for name in sorted(manifest.files)},
        "contents": {
            name: read_json(path / name, kind=IntegrityError, allow_nan=True)
            for name in sorted(manifest.files)
            if name.endswith(JSON_SUFFIX)
        },
        "verified": verify,
    }
