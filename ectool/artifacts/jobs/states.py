"""Intermediate results of an unfinished folder artifact: folders with the checksums of their files.

The checksums are of the bytes that were computed. Only intact folders are kept for a resume.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ectool.artifacts import files
from ectool.artifacts.chunks.seal import checksum_of
from ectool.artifacts.jobs.sealed import changed, read_table, write_table
from ectool.writing import TEMPORARY

CHECKSUMS_FILE = "checksums.json"
_FILES, _VERSIONS = "files", "versions"


def finish(state: Path, checksums: Mapping[str, str], versions: Mapping[str, str]) -> None:
    """Write the checksums of the files of a state, and the versions of libraries behind it."""
    write_table(state / CHECKSUMS_FILE, {_FILES: dict(checksums), _VERSIONS: dict(versions)})


def supersede(before: Path, state: Path) -> None:
    """Remove an earlier state, after reading back the one that takes its place.

    Raises:
        IntegrityError: That one has other bytes than were computed; the earlier state stays.
    """
    if damaged := damaged_file(state):
        raise changed(state / damaged)
    files.remove(before)


def versions_of(state: Path) -> dict[str, str]:
    """Return the versions of libraries behind an intact state."""
    found: dict[str, str] = read_table(state / CHECKSUMS_FILE).get(_VERSIONS, {})
    return found


def keep_intact(scratch: Path) -> tuple[list[Path], list[str]]:
    """Remove everything but intact states from an unfinished output whose lock is held.

    Returns:
        The states, in the order of their names; and the paths of damaged files in the folder.
    """
    kept, lost = list[Path](), list[str]()
    for path in sorted(scratch.iterdir()):
        if path.name.startswith(files.LOCK_FILE):
            files.clear(path)
        elif _is_state(path):
            damaged = damaged_file(path)
            if damaged is None:
                kept.append(path)
                continue
            lost.append(f"{path.name}/{damaged}")
            files.remove(path)
        elif path.name not in files.NOTES or not path.is_file():
            files.remove(path)
    return kept, lost


def _is_state(path: Path) -> bool:
    """Return whether a path is a state that was finished once, as far as its name tells."""
    is_folder = path.is_dir() and not path.is_symlink()
    return is_folder and path.suffix != TEMPORARY and path.name != files.STORE


def damaged_file(state: Path) -> str | None:
    """Return the name of a file of a state that has changed since it was written; None if none."""
    table = read_table(state / CHECKSUMS_FILE)
    known: dict[str, Any] = table.get(_FILES, {})
    if not known:
        return CHECKSUMS_FILE
    added = {path.name for path in state.iterdir()} - {CHECKSUMS_FILE} - known.keys()
    others = (name for name in sorted(known) if not matches(state / name, known[name]))
    return min(added) if added else next(others, None)


def matches(path: Path, checksum: str) -> bool:
    """Return whether a file has a checksum."""
    try:
        return path.is_file() and checksum_of(path).hex() == checksum
    except OSError:
        return False
