"""What a person sees on stderr: progress bars with rate and time left, notes, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ectool.types import Advance


class RateColumn(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or a dash before there is one."""
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class ConsoleReporter:
    """Reports to stderr; no animation off a terminal. Tasks may nest: one bar each.

    Args:
        quiet: Say nothing at all.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(
            stderr=True, quiet=quiet, highlight=False, soft_wrap=True, emoji=False
        )
        self.progress = Progress(
            TextColumn("{task.description:>9}"),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.depth = 0

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Show a bar while the block runs."""
        if self.depth == 0:
            self.progress.start()
        self.depth += 1
        task = self.progress.add_task(description, total=total)
        try:
            yield lambda items: self.progress.advance(task, items)
        finally:
            self.progress.remove_task(task)
            self.depth -= 1
            if self.depth == 0:
                self.progress.stop()

    def note(self, message: str) -> None:
        """Print one line."""
        self.console.print(message, markup=False)


def print_error(message: str) -> None:
    """Print one error line, whatever its length."""
    Console(stderr=True, highlight=False, soft_wrap=True, emoji=False).print(
        "error: " + " ".join(message.split()), style="red", markup=False
    )
