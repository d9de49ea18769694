"""Progress as lines of text, for logs and pipes, which cannot show moving bars."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ectool.options import duration
from ectool.types import Advance

INTERVAL = 10.0
"""Seconds between two lines of a step."""
PATIENCE = 1.0
"""Seconds before the first line of a step."""
FAST = 10
"""Items per second above which decimals are left out."""


class Lines:
    """Prints a line for each step that lasts, and at most one in ten seconds while it runs.

    Args:
        write: Prints a line.
        clock: Returns the time in seconds.
        patience: Seconds before the first line of a step; a shorter step prints nothing.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE,
    ) -> None:
        self.write = write
        self.clock = clock
        self.patience = patience
        self.last = self.clock()

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Print the lines of a step while the block runs.

        Args:
            description: Name of the step.
            total: Number of its items.
        """
        start, done = self.clock(), 0

        def advance(items: int) -> None:
            nonlocal done
            done += items
            seconds = self.clock() - start
            if done < total and self.clock() - self.last >= INTERVAL and seconds > 0:
                rate = done / seconds
                left = duration((total - done) / rate) if rate else "unknown time"
                self._print(f"{description}: {done} of {total}, {_rate(rate)}, {left} left")

        timer = threading.Timer(self.patience, self._print, (f"{description}: {total} to do",))
        timer.daemon = True
        timer.start()
        try:
            yield advance
        finally:
            timer.cancel()

    def _print(self, line: str) -> None:
        self.last = self.clock()
        self.write(line)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= FAST else f"{rate:.2g}/s"
