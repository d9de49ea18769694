"""Moments of death: a random time, the Nth change of a file, or in the middle of a write."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.kills.cases import Case
from tests.processes import Process, Zygote

PATIENCE = 300
"""Seconds after which a command counts as hanging."""
WAYS = {"time": 3, "change": 3, "end": 2, "byte": 2}
"""Ways to die, and how often each is chosen. `end` is one of the last changes of files."""
LAST = 12
OF_PROCESSES = {"time": 1, "worker": 1}
"""The same for commands that start processes: the other ways need a process that was forked."""


class Extent(NamedTuple):
    """How long an undisturbed run takes, how often it changes a file, and its largest file."""

    seconds: float
    changes: int
    size: int


class Moment(NamedTuple):
    """Where a process dies: `way`, and seconds, the number of a change, or a size of a file."""

    way: str
    at: float

    def options(self, folder: Path) -> dict[str, Any]:
        """Return what the zygote must know before the command begins."""
        if self.way in ("change", "end"):
            return {"folder": str(folder), "crash_at": int(self.at)}
        return {"dies_at_size": int(self.at)} if self.way == "byte" else {}

    def __str__(self) -> str:
        return (
            f"{self.way} {self.at:.3f}" if isinstance(self.at, float) else f"{self.way} {self.at}"
        )


def choose_moment(choose: random.Random, case: Case, extent: Extent) -> Moment:
    """Return a random moment within an undisturbed run."""
    ways = OF_PROCESSES if case.starts_processes else WAYS
    (way,) = choose.choices(list(ways), list(ways.values()))
    if way == "change":
        return Moment(way, choose.randint(1, extent.changes))
    if way == "end":
        return Moment(way, choose.randint(max(1, extent.changes - LAST), extent.changes))
    if way == "byte":
        return Moment(way, choose.randint(1, extent.size))
    return Moment(way, choose.uniform(0, extent.seconds))


def killed(
    zygote: Zygote, case: Case, moment: Moment, folder: Path, environment: Mapping[str, str]
) -> tuple[int, Process]:
    """Run a command that dies at a moment; return its exit code, and the process.

    It may have ended before that moment.

    Raises:
        TimeoutError: It hangs, or a process that it started outlives it.
    """
    process = zygote.start(
        *case.command, cwd=str(folder), environment=dict(environment), **moment.options(folder)
    )
    if moment.way in ("time", "worker"):
        time.sleep(moment.at)
        workers = sorted(descendants(process.pid))
        _kill(workers[-1] if moment.way == "worker" and workers else process.pid)
        code = ended(process)
        outlived(workers)
        return code, process
    return ended(process), process


def ended(process: Process) -> int:
    """Wait for the end of a process; return its exit code.

    Raises:
        TimeoutError: It does not end.
    """
    stop = time.monotonic() + PATIENCE
    while _is_alive(process.pid):
        if time.monotonic() > stop:
            for number in [*descendants(process.pid), process.pid]:
                _kill(number)
            raise TimeoutError(f"hangs: no end after {PATIENCE} s")
        time.sleep(0.002)
    return process.wait()


def outlived(workers: list[int], patience: float = 20) -> None:
    """Wait until processes have ended.

    Raises:
        TimeoutError: One of them is still there.
    """
    stop = time.monotonic() + patience
    while alive := [number for number in workers if _is_alive(number)]:
        if time.monotonic() > stop:
            for number in alive:
                _kill(number)
            raise TimeoutError(f"{len(alive)} processes outlive the command by {patience:.0f} s")
        time.sleep(0.01)


def descendants(number: int) -> set[int]:
    """Return the processes that a process has started, and those that they have."""
    parents = dict(_parents())
    found, last = set[int](), {number}
    while last := {child for child, parent in parents.items() if parent in last}:
        found |= last
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        yield int(path.parent.name), int(text.rpartition(")")[2].split()[1])


def _is_alive(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _kill(number: int) -> None:
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return
