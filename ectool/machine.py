"""What the machine refuses: disk, memory, open files, permissions, packages; told as one line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from ectool.errors import MachineError


class Refusal(NamedTuple):
    """What was needed, and what to do where it is not there."""

    expected: str
    fix: str


_SPACE = "make room, then run the same command again: it goes on from what is finished"
_PATH = "check the path"
_MEMORY = Refusal(
    "memory for what is computed at a time",
    "lower --batch-size, --shard-size or --size, or take a machine with more",
)
_THREADS = Refusal("to start a thread", "raise `ulimit -u`, or stop other programs")
_FILES = Refusal("to open a file more", "raise `ulimit -n`, then run the same command again")
EXHAUSTED = {
    errno.ENOSPC: Refusal("room on the disk", _SPACE),
    errno.EDQUOT: Refusal("room in the quota", _SPACE),
    errno.EFBIG: Refusal("room for a file of this size", "raise `ulimit -f`, or change the disk"),
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
    errno.EIO: Refusal("a disk that reads and writes", "check the disk (see `dmesg`)"),
    errno.ESTALE: Refusal("a file that stays", "mount the file system again"),
}
"""What runs out or breaks whatever the input is: the cause of whichever error follows from it."""
REFUSED = {
    errno.EACCES: Refusal("permission", "change the permissions, or choose another path"),
    errno.EPERM: Refusal("permission", "change the permissions, or choose another path"),
    errno.EROFS: Refusal("a file system that can be written", "choose another output"),
    errno.ENOENT: Refusal("a file or folder", _PATH),
    errno.ENOTDIR: Refusal("a folder", _PATH),
    errno.EISDIR: Refusal("a file", _PATH),
    errno.EEXIST: Refusal("nothing there yet", "choose another output"),
    errno.ENOTEMPTY: Refusal("an empty folder", "choose another output"),
    errno.ENAMETOOLONG: Refusal("a shorter path", "shorten it"),
    errno.ELOOP: Refusal("a path without links in a circle", "mend the links"),
    errno.EXDEV: Refusal("a path on one file system", "choose another output"),
    errno.EBUSY: Refusal("a file that nobody else uses", "wait, or choose another path"),
    errno.ETXTBSY: Refusal("a file that nobody else uses", "wait, or choose another path"),
}
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
_NUMBERED = re.compile(r"\((?:os|libc) error (\d+)\)|errno = (\d+)|\[Errno (\d+)\]")
"""How libraries in Rust and C put a number that the system gave them into a text."""
_NAMED = re.compile(r": ([^:]+) \((\d+)\)\s*$")
"""How torch puts it: the system's own words, then the number."""
_SHORT_WRITE = re.compile(r"^\d+ requested and \d+ written$")
"""How numpy puts it that the disk is full."""
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc"
    r"|Unable to allocate|CUBLAS_STATUS_ALLOC_FAILED|insufficient resources",
    re.IGNORECASE,
)
_NO_THREAD = "can't start new thread"


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what is grouped in it, and all that it was raised from or on the way of."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        parts = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        waiting += [e for e in (*parts, current.__cause__, current.__context__) if e is not None]


def exhausted(error: BaseException) -> MachineError | None:
    """Return the error of a machine that ran out of something, where that is at the bottom of it.

    Whatever else was made of it on the way is no help: a chunk that cannot be opened because too
    many files are is not a damaged one.
    """
    for one in chain(error):
        number = _number(one)
        if number in EXHAUSTED:
            return _told(one, EXHAUSTED[number], os.strerror(number))
        if isinstance(one, MemoryError) or _is_about_memory(one):
            return _told(one, _MEMORY, _first_line(one) or "none left")
        if isinstance(one, RuntimeError) and _NO_THREAD in str(one):
            return _told(one, _THREADS, _NO_THREAD)
    return None


def is_of_disk(error: BaseException) -> bool:
    """Tell whether the disk is at the bottom of an error: full, broken, or not to be written."""
    return any(_number(one) in DISK for one in chain(error))


def refused(error: BaseException) -> MachineError | None:
    """Return what is to be said of an error that the operating system or the installation raised.

    None where it is neither: then it is a bug.
    """
    if isinstance(error, ImportError):
        return _not_importable(error)
    number = _number(error)
    if number is None and not isinstance(error, OSError):
        return None
    if number == errno.ENOENT and isinstance(error, OSError) and error.filename is None:
        return _without_folder(error)
    named = REFUSED.get(number or 0, Refusal("a file that can be read or written", _PATH))
    return _told(error, named, os.strerror(number) if number else _first_line(error))


def _without_folder(error: OSError) -> MachineError:
    """Tell of a file that is missing but has no name: mostly the folder one stands in."""
    try:
        os.getcwd()  # noqa: PTH109 (pathlib's asks for the same, and hides what is missing)
    except OSError:
        return MachineError(
            "current folder",
            expected="one that exists",
            got="one that has been removed",
            fix="change to another",
        )
    return _told(error, REFUSED[errno.ENOENT], _first_line(error))


def _not_importable(error: ImportError) -> MachineError:
    name = error.name or "a library"
    is_missing = isinstance(error, ModuleNotFoundError)
    return MachineError(
        f"package {name.partition('.')[0]}",
        expected="one that can be imported",
        got=f"no module {name!r}" if is_missing else _first_line(error),
        fix="install it (again), see `ectool doctor`",
    )


def _number(error: BaseException) -> int | None:
    """Return the number that the system gave for an error, wherever a library put it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, OSError) and _SHORT_WRITE.match(str(error)):
        return errno.ENOSPC
    if isinstance(error, ImportError):
        return errno.EMFILE if os.strerror(errno.EMFILE) in str(error) else None
    if isinstance(error, OSError | RuntimeError) or type(error).__name__ == "SafetensorError":
        return _written_number(str(error))
    return None


def _written_number(text: str) -> int | None:
    """Return the number of the system's that a text holds."""
    if found := _NUMBERED.search(text):
        return int(next(filter(None, found.groups())))
    found = _NAMED.search(text)
    if found and os.strerror(int(found[2])) == found[1]:
        return int(found[2])
    return None


def _is_about_memory(error: BaseException) -> bool:
    is_torchs = isinstance(error, RuntimeError) or type(error).__name__ == "OutOfMemoryError"
    return is_torchs and _OUT_OF_MEMORY.search(str(error)) is not None


def _told(error: BaseException, refusal: Refusal, got: str) -> MachineError:
    return MachineError(_subject(error), expected=refusal.expected, got=got, fix=refusal.fix)


def _subject(error: BaseException) -> str:
    names = [getattr(error, name, None) for name in ("filename", "filename2")]
    paths = [os.fsdecode(name) for name in names if isinstance(name, str | bytes | os.PathLike)]
    return " and ".join(paths) or "this machine"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
