"""Timing of a stage that runs on a sample of the images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ectool.types import Advance, SilentReporter


@dataclass
class Timed:
    """A task of a stage.

    Attributes:
        name: Its description.
        total: Number of its items.
        start: When it began, in seconds.
        events: Time and number of items of each batch that was done.
        end: When it ended.
    """

    name: str
    total: int
    start: float
    events: list[tuple[float, int]] = field(default_factory=list)
    end: float = 0.0

    @property
    def per_item(self) -> float:
        """Return the seconds of an item, without those of the first batch, which warms up."""
        if not self.events:
            return 0.0
        if len(self.events) == 1:
            return (self.events[0][0] - self.start) / max(1, self.events[0][1])
        (first, _), *others = self.events
        return (others[-1][0] - first) / max(1, sum(items for _, items in others))

    def of_last(self, items: int) -> tuple[float, float]:
        """Return the seconds of an item in the last round, and those between two rounds.

        Args:
            items: Number of items of a round; the task has two rounds or more.
        """
        before, last = list(self.events), list[tuple[float, int]]()
        while sum(n for _, n in last) < items:
            last.insert(0, before.pop())
        if len(last) > 1:
            per_item = (last[-1][0] - last[0][0]) / sum(n for _, n in last[1:])
        else:
            per_item = (last[0][0] - before[-1][0]) / items
        return per_item, max(0.0, last[0][0] - before[-1][0] - per_item * last[0][1])


class Stopwatch(SilentReporter):
    """Reporter that times tasks.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.start = clock()
        self.tasks: list[Timed] = []

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:
        """Time a task and its batches."""
        timed = Timed(description, total, self.clock())
        self.tasks.append(timed)

        def advance(items: int) -> None:
            timed.events.append((self.clock(), items))

        yield advance
        timed.end = self.clock()

    @property
    def seconds(self) -> float:
        """Return the time since the beginning."""
        return self.clock() - self.start

    def rest(self) -> float:
        """Return the time that does not grow with the images: imports, loading, results."""
        grown = (one.per_item * sum(items for _, items in one.events) for one in self.tasks)
        return max(0.0, self.seconds - sum(grown))
