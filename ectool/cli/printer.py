"""What prints notes, tables and progress for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ectool.types import Reporter


class Printer(Reporter, Protocol):
    """A reporter that prints tables, too."""

    def table(self, lines: Sequence[str]) -> None:
        """Show the lines of a table."""
        ...
