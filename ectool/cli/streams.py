"""Safe writing to standard streams: closed, full, without reader, or with a small encoding."""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import IO, Any

from ectool.errors import MachineError
from ectool.shown_text import visible

SPARING = "ectool.sparing"
"""Name of the error handler for characters that an encoding lacks; see `_sparing`."""
ASCII_LIMIT, FIRST_ESCAPED, LAST_ESCAPED = 0xDC00, 0xDC80, 0xDCFF
_closed: set[int] = set()
_reserved: list[tuple[IO[str], int | None]] = []
"""Stdout, and a copy of its descriptor if it has one, while it is reserved for the result."""


class ClosedPipeError(Exception):
    """The reader of stdout or stderr has closed it."""


def prepare() -> None:
    """Make the standard streams safe to write to.

    A closed stream is opened on the null device. Otherwise the next open file would get its number,
    and prints of libraries would be written into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            _closed.add(number)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or _null(1)
    sys.stderr = sys.stderr or _null(2)
    codecs.register_error(SPARING, _sparing)
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            with contextlib.suppress(OSError):  # its file has been replaced by a pipe
                reconfigure(errors=SPARING)


def _null(number: int) -> IO[str]:
    return open(number, "w", encoding="utf-8", closefd=False)


def _sparing(error: UnicodeError) -> tuple[bytes, int]:
    """Encode characters that an encoding lacks: bytes of file names unchanged, else escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    return b"".join(map(_spared, letters)), error.end


def _spared(letter: str) -> bytes:
    if FIRST_ESCAPED <= ord(letter) <= LAST_ESCAPED:
        return bytes([ord(letter) - ASCII_LIMIT])
    return letter.encode("ascii", "backslashreplace")


@contextmanager
def reserved() -> Iterator[None]:
    """Keep stdout for the result while the block runs: what other code prints goes to stderr.

    That includes code in C and other processes, which print to the descriptor.
    """
    stream = sys.stdout
    stream.flush()
    copy = os.dup(1) if _is_descriptor(stream) else None
    if copy is not None:
        os.dup2(2, 1)
    _reserved.append((stream, copy))
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _reserved.pop()
        if copy is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
            os.dup2(copy, 1)
            os.close(copy)


def _is_descriptor(stream: IO[str]) -> bool:
    try:
        return stream.fileno() == 1
    except (OSError, ValueError, AttributeError):  # a stand-in that holds text
        return False


def encode(text: str) -> bytes:
    """Return text in the encoding of stdout, with escapes for characters that it lacks."""
    stream = _reserved[-1][0] if _reserved else sys.stdout
    return text.encode(getattr(stream, "encoding", None) or "utf-8", SPARING)


def write(data: bytes) -> None:
    """Write all data to stdout.

    Raises:
        ClosedPipeError: The reader has closed it.
        MachineError: Stdout is closed or full.
    """
    if not data:
        return
    if 1 in _closed:
        raise _unwritten("a closed one")
    stream, copy = _reserved[-1] if _reserved else (sys.stdout, None)
    if os.isatty(copy) if copy is not None else stream.isatty():
        # Programs get the bytes of names; a terminal would run some of them.
        data = encode(visible(data.decode(errors="surrogateescape"), "\n\t"))
    try:
        if copy is None:
            _write_stream(stream, data)
        while copy is not None and data:
            data = data[os.write(copy, data) :]
    except BrokenPipeError as error:
        raise ClosedPipeError from error
    except OSError as error:
        raise _unwritten(error.strerror or str(error)) from error


def _write_stream(stream: IO[str], data: bytes) -> None:
    buffer: Any = getattr(stream, "buffer", None)
    if buffer is None:  # a stand-in that holds text
        stream.write(data.decode(errors="surrogateescape"))
    else:
        stream.flush()
        buffer.write(data)
    stream.flush()


def _unwritten(got: str) -> MachineError:
    return MachineError(
        "stdout",
        expected="an open stream with room for the result",
        got=got,
        fix="redirect it to a place with room; finished artifacts are kept",
    )


def settle() -> None:
    """Flush both streams; one that fails is replaced, so that Python prints no error at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)
