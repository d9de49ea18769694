"""Errors of commands: any exception as one line, bugs with a saved traceback."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from ectool.errors import EctoolError, MachineError
from ectool.machine import chain, exhausted, refused
from ectool.models.blame import blamed
from ectool.shown_text import visible
from ectool.writing import make_private


class BugError(EctoolError):
    """An unexpected exception."""

    exit_code = 1


def fault_of(error: BaseException, arguments: Sequence[str]) -> EctoolError:
    """Return the error to print for an exception.

    An exhausted disk or memory comes first, whichever exception a library raised for it.

    Args:
        error: The exception that ended the command.
        arguments: Its arguments, for the saved traceback of a bug.
    """
    if isinstance(error, MachineError):
        return error
    if found := exhausted(error):
        return found
    if isinstance(error, EctoolError):
        return error
    return blamed(error) or refused(error) or _bug(error, arguments)


def is_interrupt(error: BaseException) -> bool:
    """Return whether an exception is a KeyboardInterrupt, or was caused by one.

    One that the code of a model raised is an error of that code.
    """
    found = (one for one in chain(error) if isinstance(one, KeyboardInterrupt))
    return any(blamed(one) is None for one in found)


def _bug(error: BaseException, arguments: Sequence[str]) -> BugError:
    """Save the traceback of an unexpected exception, and return an error that names the file."""
    saved = save_traceback(error, arguments)
    lines = str(error).strip().splitlines()
    kind = type(error).__name__ + (f": {lines[0].strip()}" if lines else "")
    return BugError(
        "bug in ectool",
        expected="no Python exception",
        got=kind + _place(error),
        fix=f"report it with {saved}" if saved else "report it with what --debug shows",
    )


def _place(error: BaseException) -> str:
    """Return the last line of ectool in the traceback of an exception."""
    package = Path(__file__).parents[1]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(package)]
    for frame in own[-1:]:
        return f" (ectool/{Path(frame.filename).relative_to(package).as_posix()}:{frame.lineno})"
    return ""


def save_traceback(error: BaseException, arguments: Sequence[str]) -> Path | None:
    """Write the traceback of an exception into a file that only the user can read.

    The file holds the command, versions and the traceback, and no environment variables.

    Returns:
        Path of the file; None where none can be written.
    """
    text = visible("".join(_report(error, arguments)), "\n").encode()
    name = f"traceback-{time.strftime('%Y%m%d-%H%M%S')}-"
    for folder in _folders():
        with contextlib.suppress(OSError, ValueError):
            make_private(folder)
            number, path = tempfile.mkstemp(".txt", name, folder)
            with os.fdopen(number, "wb") as file:
                file.write(text)
            return Path(path)
    return None


def _report(error: BaseException, arguments: Sequence[str]) -> Iterator[str]:
    yield f"command: {shlex.join(['ectool', *arguments])}\n"
    yield f"python: {sys.version.split()[0]} on {platform.platform()}\n"
    with contextlib.suppress(Exception):  # the cause of the exception may break this too
        from ectool.artifacts.manifest import library_versions

        yield "".join(f"{name}: {version}\n" for name, version in library_versions().items())
    yield "\n"
    yield from traceback.format_exception(error)


def _folders() -> Iterator[Path]:
    """Yield folders for tracebacks: the user's state folders, then the temporary folder."""
    if state := os.environ.get("XDG_STATE_HOME"):
        yield Path(state) / "ectool"
    with contextlib.suppress(RuntimeError, KeyError):  # a user without a home
        yield Path.home() / ".local" / "state" / "ectool"
    with contextlib.suppress(OSError):  # no folder for temporary files
        yield Path(tempfile.gettempdir())
