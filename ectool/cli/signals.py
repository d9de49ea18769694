"""Ctrl-C, SIGTERM and SIGHUP as KeyboardInterrupt, but not while torch is being imported."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

_LATER = 0.05
"""Seconds after which a postponed signal is tried again."""
_FRAGILE = "torch"
"""Library whose C++ code aborts the process if its import is interrupted."""
_IMPORTING = "<frozen importlib._bootstrap>"


def install() -> None:
    """Make the signals raise KeyboardInterrupt; ignored ones, as under nohup, stay ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupt(_number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; during the import of torch, try again after a short time.

    Raises:
        KeyboardInterrupt: Torch is not being imported.
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
