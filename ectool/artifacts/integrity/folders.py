"""Everything of a folder artifact, compared with its manifest: every file, and no other."""

from __future__ import annotations

from pathlib import Path

from ectool.artifacts.folder import open_folder
from ectool.artifacts.hashing import digest_file
from ectool.artifacts.integrity.problem import EXTRA, MISSING, OTHER, Problem
from ectool.artifacts.manifest import FILE_NAME
from ectool.errors import InputError, IntegrityError

EVALUATION = "evaluation"
"""Kind of a folder that has files of other artifacts, too."""


def folder_problems(path: Path, *, is_closed: bool) -> list[Problem]:
    """Return the files that have changed, are missing, or were added.

    Args:
        path: The folder, which has a manifest.
        is_closed: Whether every file of the folder belongs to the artifact.
    """
    try:
        manifest = open_folder(path, None)
    except (InputError, IntegrityError) as error:
        return [Problem(FILE_NAME, f"expected {error.expected}, got {error.got}")]
    found = [
        Problem(name, MISSING if not (path / name).exists() else OTHER)
        for name, digest in sorted(manifest.files.items())
        if not _is_same(path / name, digest)
    ]
    if is_closed:
        extra = {one.name for one in path.iterdir()} - {FILE_NAME, *manifest.files}
        found += [Problem(name, EXTRA, path / name) for name in sorted(extra)]
    return found


def _is_same(file: Path, digest: str) -> bool:
    return file.is_file() and digest_file(file) == digest
