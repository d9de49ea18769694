"""The command line in several processes: rank 0 alone prints, `--nproc` starts them all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from ectool.cli import streams
from ectool.cli.printer import Printer
from ectool.cli.remarks import logged_as
from ectool.config import PartOptions, RankOptions
from ectool.distributed import failures, launch
from ectool.distributed.launch import RanksNeededError
from ectool.distributed.meeting import LOG
from ectool.distributed.world import RANK, SIZE, strangers, world
from ectool.errors import EctoolError, OutcomeError, UsageError
from ectool.options import Options
from ectool.types import Advance, SilentReporter
from ectool.urls import shown

LOGGED = "TORCH_CPP_LOG_LEVEL"
"""Variable that torch reads when it is imported: what its C++ code prints on stderr."""


def check(name: str, options: Options, *, is_dry: bool) -> None:
    """Check that a command can share its work, if this is one of several processes.

    Args:
        name: Name of the command.
        options: Its options.
        is_dry: Whether it is only planned.

    Raises:
        UsageError: It cannot.
    """
    here = world()
    if here.is_alone or (isinstance(options, RankOptions) and not is_dry):
        return
    raise UsageError(
        f"{name} --dry-run" if is_dry else name,
        expected="one process, because its work is not shared",
        got=f"{here.size} processes (WORLD_SIZE)",
        fix="start it without torchrun",
    )


def unshared(options: Options) -> str | None:
    """Return the warning that processes do not know of each other; None if nothing points to it.

    Args:
        options: Options of a command, which could share its work.
    """
    found = strangers() if isinstance(options, RankOptions) else None
    if found is None or (isinstance(options, PartOptions) and options.part is not None):
        return None
    variable, count = found
    return (
        f"{count} processes run beside each other ({variable}) without {RANK} and {SIZE}: each "
        "does all the work of its command; to share it, let srun or mpirun start torchrun, or "
        "give each process its --shard"
    )


def begin() -> None:
    """Silence torch's C++ code in a process with others.

    That code warns of every connection that another process closes first, even at the end.
    """
    if RANK in os.environ:
        os.environ.setdefault(LOGGED, "ERROR")


def watch() -> None:
    """End this process with its launcher, if it has one."""
    if failures.RUN in os.environ:
        launch.end_with_launcher()


def write(data: bytes) -> None:
    """Write data to stdout, unless another process does.

    Raises:
        ClosedPipeError: The reader has closed it.
        MachineError: Stdout is closed or full.
    """
    if world().is_first:
        streams.write(_public(data))


def _public(data: bytes) -> bytes:
    """Return the bytes for stdout, with addresses in place of their paths here."""
    return shown(data.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def prints_error(error: EctoolError) -> bool:
    """Leave an error to the launcher; return whether this process prints it itself."""
    return exit_code(error) != 0 and failures.record(error)


def exit_code(error: EctoolError) -> int:
    """Return the exit code of this process.

    What the whole job has found is told by rank 0. If another rank failed with it first, the
    launcher would end rank 0 before it has printed.
    """
    is_told = isinstance(error, OutcomeError) and not world().is_first
    return 0 if is_told else error.exit_code


class Silent(SilentReporter):
    """A reporter without any output, of a process that is not the first."""

    def table(self, lines: Sequence[str]) -> None:
        """Drop the table."""


class Waiting:
    """A reporter that keeps notes and warnings until it is known who prints them.

    Args:
        reporter: Shows progress at once, and the rest later.
    """

    def __init__(self, reporter: Printer) -> None:
        self.reporter = reporter
        self.kept: list[Callable[[], None]] = []

    def task(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open a progress display."""
        return self.reporter.task(description, total)

    def note(self, message: str) -> None:
        """Keep one line."""
        self.kept.append(lambda: self.reporter.note(message))

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.kept.append(lambda: self.reporter.warn(message))

    def table(self, lines: Sequence[str]) -> None:
        """Keep the lines of a table."""
        self.kept.append(lambda: self.reporter.table(lines))

    def tell(self) -> None:
        """Show everything that was kept."""
        for show in self.kept:
            show()


@contextmanager
def reporting(reporter: Printer, options: Options) -> Iterator[Printer]:
    """Yield the reporter of this process: silent except in rank 0.

    Notes of a process that starts others wait: they are dropped if rank 0 prints them again. A
    process that waits for rank 0 says so itself.

    Args:
        reporter: The reporter of rank 0.
        options: Options of the command.

    Raises:
        RanksNeededError: As the block.
    """
    if not world().is_first:
        with logged_as(LOG, lambda text: reporter.note(f"note: {text}")):
            yield Silent()
        return
    if not (world().is_alone and isinstance(options, RankOptions) and options.nproc > 1):
        yield reporter
        return
    waiting = Waiting(reporter)
    try:
        yield waiting
    except RanksNeededError:
        raise
    except BaseException:
        waiting.tell()
        raise
    waiting.tell()
