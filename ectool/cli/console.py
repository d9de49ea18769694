"""Output on stderr: progress bars with rate and remaining time, notes, errors."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

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

from ectool.cli.lines import Lines
from ectool.cli.streams import ClosedPipeError
from ectool.shown_text import one_line, visible
from ectool.types import SILENT, Advance
from ectool.urls import shown


class Tolerant:
    """A stream that ignores failed writes: a full stderr does not stop the computation."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (any attribute)
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write the text, if possible."""
        with _dropping():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if possible."""
        with _dropping():
            self.stream.flush()


@contextmanager
def _dropping() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ClosedPipeError from error
    except OSError:
        pass


def _console() -> Console:
    return Console(
        file=cast(IO[str], Tolerant(sys.stderr)),
        highlight=False,
        soft_wrap=True,
        emoji=False,
    )


class RateColumn(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, or a dash before there is one."""
        speed = task.finished_speed or task.speed
        return Text("-/s" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


class ConsoleReporter:
    """Reporter to stderr: bars on terminals, one for each nested task; otherwise lines.

    Each line is printed once: several stages of one command may report the same.

    Args:
        quiet: Print only warnings.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = _console()
        self.progress = Progress(
            TextColumn("{task.description:>9}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        )
        self.lines = Lines(self._line)
        self.depth = 0
        self.printed: set[str] = set()

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Show a bar while the block runs; off a terminal, lines."""
        if self.quiet or not self.console.is_terminal:
            lines = SILENT if self.quiet else self.lines
            with lines.task(description, total) as advance:
                yield advance
            return
        if self.depth == 0:
            self.progress.start()
        self.depth += 1
        task = self.progress.add_task(one_line(description), total=total)
        try:
            yield lambda items: self.progress.advance(task, items)
        finally:
            self.progress.remove_task(task)
            self.depth -= 1
            if self.depth == 0:
                self.progress.stop()

    def note(self, message: str) -> None:
        """Print one line, unless it was printed before."""
        if not self.quiet:
            self._print(message)

    def warn(self, message: str) -> None:
        """Print one line that begins with `warning`, unless it was printed before."""
        self._print(f"warning: {message}")

    def table(self, lines: Sequence[str]) -> None:
        """Print the lines of a table."""
        if not self.quiet:
            for line in lines:
                self.console.print(visible(shown(line)), markup=False)

    def _print(self, message: str) -> None:
        if message not in self.printed:
            self.printed.add(message)
            self._line(message)

    def _line(self, text: str) -> None:
        self.console.print(one_line(shown(text)), markup=False)


def print_error(message: str) -> None:
    """Print one error line; without any library where memory or files have run out."""
    line = one_line(f"error: {message}")
    try:
        _console().print(line, style="red", markup=False)
    except ClosedPipeError:
        raise
    except Exception:
        with contextlib.suppress(OSError):
            os.write(2, line.encode(errors="backslashreplace") + b"\n")
