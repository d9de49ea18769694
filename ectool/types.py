"""Types that every layer shares; nothing here imports a heavy library."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]
"""Report that so many more items are done."""


class Unnamed(tuple[str, ...]):
    """Numbers 0, 1, … in place of the names of classes, where nobody gave any.

    They tell how many classes there are; what a class is, its position alone tells.
    """

    __slots__ = ()

    @classmethod
    def of(cls, count: int) -> Unnamed:
        """Return so many numbers."""
        return cls(map(str, range(count)))


UP_TO_DATE = "up to date"
"""How a stage's note ends when there was nothing to compute."""


class Reporter(Protocol):
    """Where a stage tells a person how far it is."""

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display of `total` items; calling what it yields moves it on."""
        ...

    def note(self, message: str) -> None:
        """Say one line that is worth a person's time."""
        ...


class SilentReporter:
    """Reports to nobody; what library callers get unless they pass a reporter."""

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 (protocol)
        """Yield a function that does nothing."""
        yield lambda _: None

    def note(self, message: str) -> None:
        """Drop the message."""


SILENT = SilentReporter()
