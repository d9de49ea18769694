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

    before = warnings.showwarning
    if not sys.warnoptions:
        warnings.showwarning = show
    try:
        with logged_as(logging.getLogger(), note_once):
            yield
    finally:
        warnings.showwarning = before


@contextmanager
def logged_as(logger: logging.Logger, note: Note) -> Iterator[None]:
    """Give the warnings of a logger to a function while the block runs."""
    handler = _Handler(note)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
