"""Ctrl-C, SIGTERM and SIGHUP: one way to stop, at a moment that the libraries stand."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

_LATER = 0.05
"""Seconds after which a signal that comes at a bad moment is tried again."""
_FRAGILE = "torch"
"""Library whose C++ code ends the process, with a message of its own, if interrupted on import."""
_IMPORTING = "<frozen importlib._bootstrap>"


def install() -> None:
    """Have the signals raise KeyboardInterrupt, but for those that are ignored, as nohup asks."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; while torch is being imported, soon.

    Raises:
        KeyboardInterrupt: Always, in the end.
    """
    if not _is_fragile(frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, _LATER)


def _is_fragile(frame: FrameType | None) -> bool:
    frames = list(_stack(frame))
    names = {str(one.f_globals.get("__name__")).partition(".")[0] for one in frames}
    return _FRAGILE in names and any(one.f_code.co_filename == _IMPORTING for one in frames)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
