"""Warnings and log messages of libraries as notes of one line, each printed once."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Note = Callable[[str], None]


class _Handler(logging.Handler):
    """Log handler that prints warnings as notes."""

    def __init__(self, note: Note) -> None:
        super().__init__(logging.WARNING)
        self.note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        self.note(record.getMessage())


@contextmanager
def remarks_as(note: Note) -> Iterator[None]:
    """Print warnings and log messages of libraries as notes while the block runs.

    Warnings are unchanged where Python was started with a filter for them (`-W`, `PYTHONWARNINGS`).

    Args:
        note: Prints one line.
    """
    printed: set[str] = set()

    def note_once(text: str) -> None:
        line = " ".join(text.split())
        if line not in printed:
            printed.add(line)
            note(f"note: {line}")

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        note_once(f"{category.__name__}: {message}")

    before, handler, root = warnings.showwarning, _Handler(note_once), logging.getLogger()
    if not sys.warnoptions:
        warnings.showwarning = show
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        warnings.showwarning = before
