"""Calls of a library that may crash on damaged files, in a copy of this process."""

from __future__ import annotations

import faulthandler
import fcntl
import json
import os
import resource
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from ectool.artifacts.guard.memory import bounded_memory
from ectool.machine import no_process

MEMORY = 2**30
"""Bytes that the copy may use in addition to those of this process."""
BRIEF, LONG = 3, 300
"""Seconds of the processor until the copy is stopped: for descriptions, and for values."""
PATIENCE = 300
"""Seconds on the clock until it is stopped."""
_PIPE = 2**20
_DONE, _FAILED, _LENGTH = b"+", b"-", 8
_forking = threading.Lock()
"""So that no copy inherits the pipe of another one, which would then have no end."""


class CrashError(OSError):
    """The library has crashed, or did not come to an end."""


def in_child(
    work: Callable[[], bytes], *, seconds: int = BRIEF, patience: float = PATIENCE, more: int = 0
) -> bytes:
    """Return what a function returns in a copy of this process.

    It costs a fork: some milliseconds, more in a large process.

    Args:
        work: The function. It must need no other thread.
        seconds: Time of the processor that it may take.
        patience: Time on the clock that it may take, in seconds.
        more: Bytes that it may map in addition, such as the size of a file.

    Raises:
        CrashError: It has crashed, or takes too much memory or time.
        MachineError: No copy can be started.
        OSError: It has raised an error; the message is the same.
    """
    with _forking, warnings.catch_warnings():
        # The copy needs no lock of other threads; h5py holds its own while it forks.
        warnings.simplefilter("ignore", DeprecationWarning)
        reader, writer = os.pipe()
        try:
            child = os.fork()
        except OSError as error:  # of the machine: the file may be whole
            os.close(reader)
            os.close(writer)
            raise no_process(error) from error
        if child == 0:
            _serve(writer, work, seconds, MEMORY + more)
        os.close(writer)
    found = b""
    try:
        found = _received(reader, patience)
    finally:
        os.close(reader)
        status = _ended(child)
    return _judged(found, status)


def value_in_child(work: Callable[[], object]) -> Any:  # noqa: ANN401 (a JSON value)
    """Return the JSON value that a function returns in a copy of this process.

    Raises:
        OSError: As of `in_child`.
    """
    return json.loads(in_child(lambda: json.dumps(work()).encode()))


def _serve(writer: int, work: Callable[[], bytes], seconds: int, memory: int) -> NoReturn:
    """Do the work in the copy, send its result, and end without any clean-up."""
    try:
        _restrict(seconds)
        try:
            with bounded_memory(memory):
                result = work()
            _send(writer, _DONE, result)
        except MemoryError:
            _send(writer, _FAILED, _told(None, "bytes that need more than 1 GB of memory"))
        except Exception as error:  # every error is sent to the parent
            number = error.errno if isinstance(error, OSError) else None
            text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
            _send(writer, _FAILED, _told(number, text or type(error).__name__))
    finally:
        os._exit(0)


def _told(number: int | None, text: str) -> bytes:
    return json.dumps([number, text]).encode()


def _send(writer: int, outcome: bytes, result: bytes) -> None:
    for part in (outcome + len(result).to_bytes(_LENGTH, "big"), result):
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(writer, rest) :]


def _restrict(seconds: int) -> None:
    """Limit the time, and let a crash be silent."""
    faulthandler.disable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXCPU):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, seconds)


def _lower(limit: int, value: int) -> None:
    soft, hard = resource.getrlimit(limit)
    known = [one for one in (soft, hard, value) if one != resource.RLIM_INFINITY]
    resource.setrlimit(limit, (min(known), hard))


def _received(reader: int, patience: float) -> bytes:
    """Return everything that the copy sends; nothing if it takes too long."""
    with suppress(AttributeError, OSError):  # another size is only slower
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _PIPE)
    poll = select.poll()
    parts: list[bytes] = []
    poll.register(reader, select.POLLIN)
    end = time.monotonic() + patience
    while poll.poll(max(0.0, end - time.monotonic()) * 1000):
        part = os.read(reader, _PIPE)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return b""


def _ended(child: int) -> int:
    """Stop the copy if it is not at its end, and return its status."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _judged(found: bytes, status: int) -> bytes:
    """Return the result of the copy, or raise its error."""
    start = 1 + _LENGTH
    outcome, length, result = found[:1], int.from_bytes(found[1:start], "big"), found[start:]
    if outcome and len(result) == length:
        if outcome == _DONE:
            return result
        number, text = json.loads(result)
        raise OSError(text) if number is None else OSError(number, text)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        name = signal.Signals(os.WTERMSIG(status)).name
        raise CrashError(f"bytes on which its library ends with {name}")
    raise CrashError("bytes on which its library does not end")
