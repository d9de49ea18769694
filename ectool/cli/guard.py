"""A process that watches a command with code of other people in it.

That code can end its process at any moment, even with exit code 0, or crash it. Then nobody is left
in it to say so, so the command runs in a child of this process.
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from ectool.cli import streams
from ectool.config.trust import TRUST
from ectool.errors import InputError
from ectool.machine import no_process
from ectool.models import blame
from ectool.models.names import IMPORT
from ectool.settings import PREFIX

_FLAG = "--" + TRUST.replace("_", "-")
_DEATH_SIGNAL = 1
"""Option of Linux' `prctl`: the signal that a process gets when its parent ends."""
_DONE = mmap.PAGESIZE - 2
"""Where the child writes that it has finished, and its exit code."""
_OF_KERNEL = 128
"""Code of a signal that the terminal sends, also to the child."""
_PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALS = (*_PASSED, signal.SIGCHLD)


def is_needed(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a command may run code of other people."""
    names = any(f"{IMPORT}:" in one or one.startswith(_FLAG) for one in arguments)
    trusted = any(n.startswith(PREFIX) and n.endswith(f"_{TRUST.upper()}") for n in environ)
    return (names or trusted) and hasattr(signal, "sigwaitinfo")


def guarded(run: Callable[[], int], watch: Callable[[], None]) -> int:
    """Run a command in a child of this process, and wait for it.

    Args:
        run: Runs the command and returns its exit code.
        watch: Called in this process only: a fork would not copy the threads that it starts.

    Returns:
        The exit code. Only this process returns; the child ends.

    Raises:
        InputError: The child was ended by the code of a model.
        MachineError: No child can be started.
    """
    memory = mmap.mmap(-1, mmap.PAGESIZE)  # both processes see it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise no_process(error) from error
    if child == 0:
        _end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        _finish(run, memory)
    try:
        watch()
        return _code(_wait(child), memory)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(child: int) -> int:
    """Return the status of a child at its end; signals of other processes are passed on to it."""
    while True:
        found = signal.sigwaitinfo(_SIGNALS)
        if found.si_signo in _PASSED and found.si_code != _OF_KERNEL:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, found.si_signo)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status


def _code(status: int, memory: mmap.mmap) -> int:
    """Return the exit code of a child that has finished.

    Raises:
        InputError: It was ended before.
    """
    if memory[_DONE]:
        return memory[_DONE + 1]
    name = memory[: blame.NAME].rstrip(b"\0").decode(errors="replace")
    number = os.waitstatus_to_exitcode(status)
    how = f"exit code {number}" if number >= 0 else signal.Signals(-number).name
    raise InputError(
        f"model {name}" if name else "code of a model",
        expected="code that lets the command finish",
        got=f"a process that was ended ({how})",
        fix="correct the module; or, if the system has ended it, give it more memory",
    )


def _finish(run: Callable[[], int], memory: mmap.mmap) -> NoReturn:
    """Run the command, and end this process without going back to the caller, who is the parent."""
    blame.share(memory)
    code = run()
    memory[_DONE:] = bytes([1, code])
    streams.settle()
    atexit._run_exitfuncs()
    os._exit(code)


def _end_with(parent: int) -> None:
    """End this process when its parent is killed."""
    import ctypes  # here: few commands need it

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
