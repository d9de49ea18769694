"""A part of an artifact that is not as it was written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """A part that has changed, is missing, or was added.

    Attributes:
        part: Its name: ``shard 3 of `clean` ``, ``manifest.json``, ``key``.
        fault: The fault in a few words.
        extra: Path of a file that does not belong to the artifact.
    """

    part: str
    fault: str
    extra: Path | None = None

    def __str__(self) -> str:
        return f"{self.part}: {self.fault}"


OTHER, MISSING, EXTRA = "not as it was written", "missing", "not of this artifact"
"""Faults that occur often."""
