"""Versions of libraries behind an artifact: recorded, merged, compared; and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ectool.artifacts import files
from ectool.artifacts.jobs import locks
from ectool.artifacts.jobs.sealed import read_table, write_table
from ectool.artifacts.manifest import ABSENT, STORING, library_versions

FILE = files.VERSIONS_FILE
"""File of an unfinished artifact: the versions it has been computed with so far."""
MACHINE = files.MACHINE_FILE
"""File of an unfinished artifact: device and threads."""
BOTH = " and "


def record(folder: Path, before: Mapping[str, str]) -> dict[str, str]:
    """Add the installed versions to those at the beginning of an unfinished artifact.

    Args:
        folder: Its temporary folder.
        before: Versions of its finished parts; empty if there are none.

    Returns:
        Version by library; both if it has changed: `2.11.0 and 2.12.1`.
    """
    merged = {
        name: _merged(before.get(name, version), version)
        for name, version in library_versions().items()
    }
    write_table(folder / FILE, merged)
    return merged


def recorded(folder: Path) -> dict[str, str]:
    """Return the versions of an unfinished artifact; empty if unknown."""
    return {name: str(version) for name, version in read_table(folder / FILE).items()}


def record_machine(folder: Path, machine: Mapping[str, str | int]) -> None:
    """Record device and threads of an unfinished artifact."""
    if machine:
        with locks.creating(folder):
            write_table(folder / MACHINE, machine)


def recorded_machine(folder: Path) -> dict[str, str | int]:
    """Return the last device and threads of an unfinished artifact; empty if unknown."""
    return read_table(folder / MACHINE)


def _merged(before: str, now: str) -> str:
    return before if now in before.split(BOTH) else before + BOTH + now


def differing(versions: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return versions that differ from the installed ones: `made_with`, `installed`, by library."""
    installed = library_versions()
    return {
        name: {"made_with": version, "installed": installed[name]}
        for name, version in versions.items()
        if name in installed and version not in (ABSENT, installed[name])
    }


def described(versions: Mapping[str, str]) -> str:
    """Describe versions that differ and can change a result; empty if none does."""
    found = {name: pair for name, pair in differing(versions).items() if name not in STORING}
    return ", ".join(
        f"{name} {pair['made_with']} (installed: {pair['installed']})"
        for name, pair in found.items()
    )
