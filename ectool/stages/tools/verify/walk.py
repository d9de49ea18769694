"""Everything of ectool at a path and below it; links are not followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ectool import urls
from ectool.artifacts.files import UNFINISHED
from ectool.artifacts.integrity.folders import EVALUATION
from ectool.artifacts.integrity.problem import MISSING, Problem
from ectool.artifacts.integrity.sealed_documents import files_of
from ectool.artifacts.manifest import FILE_NAME
from ectool.artifacts.store import HDF5_SUFFIXES, ZARR_SUFFIX
from ectool.stages.common.layout import PREDICTIONS, RESULTS_FILE, SPEC_FILE, WEIGHTS_FILE
from ectool.stages.tools.verify.artifacts import kind_of, on_arrays, on_folder
from ectool.stages.tools.verify.interrupted import INTERRUPTED, output_of_lock
from ectool.stages.tools.verify.listed_files import is_document, on_document
from ectool.stages.tools.verify.verdict import FILE, State, Verdict

MAX_DEPTH = 64
ASIDE = ".old-"
"""In the name of what a command has moved aside."""


class Place(NamedTuple):
    """A path, and the function that reads it and returns its verdict."""

    path: Path
    judge: Callable[[Path], Verdict]


def walk(path: Path, depth: int = 0) -> Iterator[Place]:
    """Yield everything at a path and below it, in the order of names.

    Args:
        path: A file or folder that exists.
        depth: Number of folders above it that were walked.
    """
    if UNFINISHED in path.name:
        yield Place(path, on_unfinished)
    elif ASIDE in path.name:
        yield Place(path, partial(_known, kind="moved aside", state="unknown", why="not read"))
    elif path.suffix == ZARR_SUFFIX or path.suffix in HDF5_SUFFIXES:
        yield Place(path, on_arrays)
    elif path.is_dir() and depth < MAX_DEPTH:
        yield from _folder(path, depth)
    elif is_document(path):
        yield Place(path, on_document)
    else:
        yield Place(path, on_other)


def on_unfinished(path: Path) -> Verdict:
    """Return the verdict on what a writer has beside an output.

    A lock alone, beside an output that is intact, tells that its writer was killed at the very end.
    """
    found, unfinished = output_of_lock(path), partial(_known, path, kind="unfinished")
    place = None if found is None or not found.exists() else next(walk(found), None)
    if place is not None and place.path == found and place.judge(found).state == "intact":
        return unfinished(state="unknown", why="of a killed command, whose output is complete")
    return unfinished(state="incomplete", why=INTERRUPTED)


def on_other(path: Path) -> Verdict:
    """Return the verdict on a file that is not of ectool."""
    why = "a link, not followed" if path.is_symlink() else "not of ectool"
    why = f"more than {MAX_DEPTH} folders deep" if path.is_dir() and not path.is_symlink() else why
    return _known(path, kind=FILE, state="unknown", why=why)


def _known(path: Path, *, kind: str, state: State, why: str) -> Verdict:
    return Verdict(path, kind, state, (Problem(path.name, why),))


def _without_manifest(path: Path) -> Verdict:
    """Return the verdict on the files of a model without its manifest."""
    return Verdict(path, "model", "damaged", (Problem(FILE_NAME, MISSING),))


def _folder(path: Path, depth: int) -> Iterator[Place]:
    """Yield a folder, if it is of ectool, and what lies in it."""
    if (path / FILE_NAME).is_file():
        yield Place(path, on_folder)
        if kind_of(path) not in (None, EVALUATION):
            return
    elif (path / SPEC_FILE).is_file() and (path / WEIGHTS_FILE).is_file():
        yield Place(path, _without_manifest)
        return
    elif (path / PREDICTIONS).exists():
        why = f"no manifest: {INTERRUPTED}"
        yield Place(path, partial(_known, kind=EVALUATION, state="incomplete", why=why))
    yield from _below(path, depth)


def _below(path: Path, depth: int) -> Iterator[Place]:
    """Yield what lies in a folder, except what is part of something else there."""
    names = sorted(path.iterdir())
    skipped = {file for one in names if is_document(one) for file in files_of(one)}
    if (path / PREDICTIONS).exists() or (path / FILE_NAME).is_file():
        skipped |= {path / FILE_NAME, path / RESULTS_FILE}
    for one in names:
        if one.is_symlink() and urls.url_of(one) is None:
            yield Place(one, on_other)
        else:
            yield from (found for found in walk(one, depth + 1) if found.path not in skipped)
