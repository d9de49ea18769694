"""Calls in a forked process whose memory and time are limited and measured."""

from __future__ import annotations

import os
import resource
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

GIB = 2**30


class Measured(NamedTuple):
    """What a call took.

    Attributes:
        peak: Bytes of memory beyond those before the call.
        error: Type and message of its error; empty if there was none.
    """

    peak: int
    error: str


def measured(call: Callable[[], object], seconds: int = 20, memory: int = 6 * GIB) -> Measured:
    """Call a function in a forked process.

    Args:
        call: Takes no arguments; its result is ignored.
        seconds: Time after which the process is killed, which is an error.
        memory: Bytes by which its address space may grow.
    """
    source, target = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
        child = os.fork()
    if child == 0:
        _report(call, seconds, memory, target)
    os.close(target)
    with os.fdopen(source, encoding="utf-8") as file:
        peak, _, error = file.read().partition(" ")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"ended with {status}"
    return Measured(int(peak), error)


def _report(call: Callable[[], object], seconds: int, memory: int, target: int) -> None:
    """Write the measured peak and the error, and end this process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    limit = _memory("VmSize") + memory  # what this process has reserved already may be more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the parent
    before, error = _memory("VmRSS"), ""
    try:
        call()
    except BaseException as found:
        error = f"{type(found).__name__}: {found}"
    os.write(target, f"{_memory('VmHWM') - before} {error}".encode())
    os._exit(0)


def _memory(name: str) -> int:
    """Return a figure of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
