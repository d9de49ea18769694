"""What libraries remark on: warnings and log messages, as notes of one line, each said once."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Note = Callable[[str], None]


class _Handler(logging.Handler):
    """Passes warnings that are logged on as notes."""

    def __init__(self, tell: Note) -> None:
        super().__init__(logging.WARNING)
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the message."""
        self.tell(record.getMessage())


@contextmanager
def told(note: Note) -> Iterator[None]:
    """Have what libraries remark on said as notes while the block runs.

    Warnings are left alone where somebody has asked Python for them (`-W`, `PYTHONWARNINGS`).

    Args:
        note: Says one line.
    """
    said: set[str] = set()

    def tell(text: str) -> None:
        line = " ".join(text.split())
        if line not in said:
            said.add(line)
            note(f"note: {line}")

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        tell(f"{category.__name__}: {message}")

    before, handler, root = warnings.showwarning, _Handler(tell), logging.getLogger()
    if not sys.warnoptions:
        warnings.showwarning = show
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        warnings.showwarning = before
