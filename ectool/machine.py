"""Errors of the machine in one line: disk, memory, open files, permissions, packages."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from ectool.errors import MachineError


class Refusal(NamedTuple):
    """A resource that is missing, and what to do."""

    expected: str
    fix: str


_SPACE = "free some, then run the same command again: it continues from finished shards"
_PATH = "check the path"
_MEMORY = Refusal(
    "enough memory for a batch",
    "lower --batch-size (or auto), --shard-size or --size, or use a machine with more memory",
)
_THREADS = Refusal("to start a thread", "raise `ulimit -u`, or stop other programs")
_FILES = Refusal("to open another file", "raise `ulimit -n`, then run the same command again")
EXHAUSTED = {
    errno.ENOSPC: Refusal("free space on the disk", _SPACE),
    errno.EDQUOT: Refusal("free space in the quota", _SPACE),
    errno.EFBIG: Refusal("space for a file of this size", "raise `ulimit -f`, or use another disk"),
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.ENOMEM: _MEMORY,
    errno.EIO: Refusal("a working disk", "check the disk (see `dmesg`)"),
    errno.ESTALE: Refusal("an existing file", "mount the file system again"),
}
"""Resources that can run out or fail for any input; they cause other errors."""
REFUSED = {
    errno.EACCES: Refusal("permission", "change the permissions, or choose another path"),
    errno.EPERM: Refusal("permission", "change the permissions, or choose another path"),
    errno.EROFS: Refusal("a file system that can be written", "choose another output"),
    errno.ENOENT: Refusal("a file or folder", _PATH),
    errno.ENOTDIR: Refusal("a folder", _PATH),
    errno.EISDIR: Refusal("a file", _PATH),
    errno.EEXIST: Refusal("a path that does not exist", "choose another output"),
    errno.ENOTEMPTY: Refusal("an empty folder", "choose another output"),
    errno.ENAMETOOLONG: Refusal("a shorter path", "shorten it"),
    errno.ELOOP: Refusal("a path without circular links", "correct the links"),
    errno.ENOLCK: Refusal(
        "a file system with locks", "mount it with them, or choose another output"
    ),
    errno.EXDEV: Refusal("a path on one file system", "choose another output"),
    errno.EBUSY: Refusal("a file that no other program uses", "wait, or choose another path"),
    errno.EAGAIN: Refusal("to start another process", "raise `ulimit -u`, or stop other programs"),
    errno.ETXTBSY: Refusal("a file that no other program uses", "wait, or choose another path"),
}
DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
_NUMBERED = re.compile(r"\((?:os|libc) error (\d+)\)|errno = (\d+)|\[Errno (\d+)\]")
"""Forms in which libraries in Rust and C report an error number of the system."""
_NAMED = re.compile(r": ([^:]+) \((\d+)\)\s*$")
"""Form of torch: the message of the system, then the number."""
_SHORT_WRITE = re.compile(r"^\d+ requested and \d+ written$")
"""Form of numpy for a full disk."""
_OUT_OF_MEMORY = re.compile(
    r"out of memory|can't allocate memory|cannot allocate memory|not enough memory|bad_alloc"
    r"|Unable to allocate|CUBLAS_STATUS_ALLOC_FAILED|insufficient resources",
    re.IGNORECASE,
)
_NO_THREAD = "can't start new thread"
_NOT_DETERMINISTIC = re.compile(r"^(\S+) does not have a deterministic implementation")
"""Form of torch, with the name of the operation."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the errors of its group, and its causes and contexts."""
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
    """Return the error of an exhausted resource if that caused an error, else None.

    The cause is more useful than the errors that follow from it: a chunk that cannot be opened
    because too many files are open is not damaged.
    """
    for one in chain(error):
        number = _number(one)
        if number in EXHAUSTED:
            return _machine_error(one, EXHAUSTED[number], os.strerror(number))
        if isinstance(one, MemoryError) or _is_about_memory(one):
            return _machine_error(one, _MEMORY, _first_line(one) or "none left")
        if isinstance(one, RuntimeError) and _NO_THREAD in str(one):
            return _machine_error(one, _THREADS, _NO_THREAD)
    return None


def no_process(error: OSError) -> MachineError:
    """Return the error of a process that could not be started."""
    found = REFUSED[errno.EAGAIN]
    return exhausted(error) or _machine_error(error, found, error.strerror or str(error))


def is_of_disk(error: BaseException) -> bool:
    """Return whether the disk caused an error: full, broken or read-only."""
    return any(_number(one) in DISK for one in chain(error))


def is_of_memory(error: BaseException) -> bool:
    """Return whether an error was caused by too little memory, of the machine or of a device."""
    return any(
        isinstance(one, MemoryError) or _number(one) == errno.ENOMEM or _is_about_memory(one)
        for one in chain(error)
    )


def refused(error: BaseException) -> MachineError | None:
    """Return the error in one line if the system, the installation or the device caused it.

    None if neither did: then it is a bug.
    """
    if isinstance(error, ImportError):
        return _not_importable(error)
    if isinstance(error, RuntimeError) and (found := _NOT_DETERMINISTIC.match(str(error))):
        return MachineError(
            "--deterministic",
            expected="operations with a deterministic algorithm on this device",
            got=found[1],
            fix="leave it out, or use --device cpu",
        )
    number = _number(error)
    if number is None and not isinstance(error, OSError):
        return None
    if number == errno.ENOENT and isinstance(error, OSError) and error.filename is None:
        return _without_folder(error)
    named = REFUSED.get(number or 0, Refusal("a file that can be read or written", _PATH))
    return _machine_error(error, named, os.strerror(number) if number else _first_line(error))


def _without_folder(error: OSError) -> MachineError:
    """Return the error of a missing file without a name, usually the current folder."""
    try:
        os.getcwd()  # noqa: PTH109 (pathlib calls it too, and its error hides this)
    except OSError:
        return MachineError(
            "current folder",
            expected="an existing folder",
            got="a folder that has been removed",
            fix="change to another folder",
        )
    return _machine_error(error, REFUSED[errno.ENOENT], _first_line(error))


def _not_importable(error: ImportError) -> MachineError:
    name = error.name or "a library"
    is_missing = isinstance(error, ModuleNotFoundError)
    return MachineError(
        f"package {name.partition('.')[0]}",
        expected="a package that can be imported",
        got=f"no module {name!r}" if is_missing else _first_line(error),
        fix="install it, or install it again; see `ectool doctor`",
    )


def _number(error: BaseException) -> int | None:
    """Return the system's number of an error, in any form that a library reports it."""
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
    """Return the system's number of an error in a text."""
    if found := _NUMBERED.search(text):
        return int(next(filter(None, found.groups())))
    found = _NAMED.search(text)
    if found and os.strerror(int(found[2])) == found[1]:
        return int(found[2])
    return None


def _is_about_memory(error: BaseException) -> bool:
    if isinstance(error, SystemError):  # of an extension in C that does not check its allocation
        return "without exception set" in str(error) or "without setting an exc" in str(error)
    is_of_torch = isinstance(error, RuntimeError) or type(error).__name__ == "OutOfMemoryError"
    return is_of_torch and _OUT_OF_MEMORY.search(str(error)) is not None


def _machine_error(error: BaseException, refusal: Refusal, got: str) -> MachineError:
    return MachineError(_subject(error), expected=refusal.expected, got=got, fix=refusal.fix)


def _subject(error: BaseException) -> str:
    names = [getattr(error, name, None) for name in ("filename", "filename2")]
    paths = [os.fsdecode(name) for name in names if isinstance(name, str | bytes | os.PathLike)]
    return " and ".join(paths) or "this machine"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")
