"""Reporters for many stages in a row: what would be said of each is counted, or said once."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ectool.types import UP_TO_DATE, Advance, Reporter


class Watch:
    """Passes a stage's reports on, but counts what is up to date instead of saying it each time.

    Args:
        reporter: Where reports go.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.up_to_date = 0
        self.computed = False

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display: something is being computed."""
        self.computed = True
        return self.reporter.task(description, total)

    def note(self, message: str) -> None:
        """Count an artifact that is up to date; pass on everything else."""
        if message.endswith(UP_TO_DATE):
            self.up_to_date += 1
        else:
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
