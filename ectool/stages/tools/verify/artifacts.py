"""Verdicts on artifacts: arrays, models, evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ectool import urls
from ectool.artifacts.artifact import Artifact
from ectool.artifacts.integrity.arrays import array_problems
from ectool.artifacts.integrity.folders import EVALUATION, folder_problems
from ectool.artifacts.integrity.problem import MISSING, OTHER, Problem
from ectool.artifacts.manifest import Manifest
from ectool.artifacts.store import known_manifest
from ectool.parsing import read_object
from ectool.stages.common.found_models import CODE
from ectool.stages.common.layout import RESULTS_FILE
from ectool.stages.tools.verify.interrupted import as_interrupted
from ectool.stages.tools.verify.verdict import FILE, Verdict, judged


def on_arrays(path: Path) -> Verdict:
    """Return the verdict on a Zarr folder or an HDF5 file."""
    problems = array_problems(path)
    manifest = known_manifest(path)
    if manifest is not None:
        return judged(path, manifest.kind, problems, _parents(path, manifest))
    return judged(path, _foreign_kind(path), problems)


def _foreign_kind(path: Path) -> str:
    """Return the schema of an artifact without a readable manifest; `file` without one."""
    with suppress(Exception), Artifact(path, repair=True) as artifact:
        return artifact.kind
    return "arrays" if path.is_dir() else FILE


def on_folder(path: Path) -> Verdict:
    """Return the verdict on a folder with a manifest: a model, or an evaluation."""
    manifest = known_manifest(path)
    is_evaluation = manifest is not None and manifest.kind == EVALUATION
    problems = folder_problems(path, is_closed=manifest is not None and not is_evaluation)
    if manifest is None:
        return judged(path, "folder", problems)
    if is_evaluation and not problems:
        return as_interrupted(judged(path, EVALUATION, _parts(path), _parents(path, manifest)))
    return judged(path, manifest.kind, problems, _parents(path, manifest))


def _parts(path: Path) -> Iterator[Problem]:
    """Yield the parts of an evaluation that its results were not computed from."""
    for name, id in read_object(path / RESULTS_FILE, allow_nan=True).get("parts", {}).items():
        found = known_manifest(path / name)
        if found is None or found.id != id or (path / name).is_symlink():
            is_there = (path / name).exists()
            yield Problem(name, OTHER if is_there else MISSING)


def _parents(path: Path, manifest: Manifest) -> dict[Path, str]:
    folder = path.absolute().parent
    return {
        urls.place(folder, parent.path): parent.id
        for parent in manifest.recipe.parents
        if parent.kind != CODE
    }


def kind_of(path: Path) -> str | None:
    """Return the kind of an artifact; None without a manifest that can be read."""
    manifest = known_manifest(path)
    return None if manifest is None else manifest.kind
