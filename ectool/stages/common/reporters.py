"""Reporters for many stages in a row: what would be said of each is said once, or not at all."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ectool.types import UP_TO_DATE, Advance, Reporter


class Quiet:
    """Passes a stage's reports on, but not that something is up to date.

    Args:
        reporter: Where reports go.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display."""
        return self.reporter.task(description, total)

    def note(self, message: str) -> None:
        """Pass on what is news."""
        if not message.endswith(UP_TO_DATE):
            self.reporter.note(message)


class Once:
    """Passes reports on, but no note a second time.

    Args:
        reporter: Where reports go.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.said: set[str] = set()

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display."""
        return self.reporter.task(description, total)

    def note(self, message: str) -> None:
        """Pass on what has not been said yet."""
        if message not in self.said:
            self.said.add(message)
            self.reporter.note(message)
