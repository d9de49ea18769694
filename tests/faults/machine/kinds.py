"""What can fail around a command; each fault is made by the system, not by a part of ectool."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

from tests.faults.machine.bench import Bench, Done, remove, wait_for
from tests.faults.machine.disks import PAGE, failing_change, full_disk, no_inodes, read_only
from tests.faults.machine.processes import few_processes, killed_worker, no_permission, wrong_clock
from tests.forked import Command

Kind = Callable[[Bench, str, random.Random], list[str]]
"""Runs a command with a fault, then without; returns what is wrong, one line each."""
SMALL_FILES = (200, 1000, 4000, 16000, 100_000)
DESCRIPTORS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 48)
MEMORY = (1 << 20, 4 << 20, 16 << 20, 64 << 20, 160 << 20)
"""Bytes of address space beyond that of the process that forks commands."""


def _limited(bench: Bench, name: str, codes: set[int], **limits: int) -> list[str]:
    folder = bench.folder()
    bench.prepare(name, folder)
    found = bench.run(bench.argv(name, folder), limits=limits).faults(codes)
    found = [f"{limits}: {one}" for one in found]
    return found + bench.finishes(name, folder)


def small_files(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Limit the size of a file."""
    return _limited(bench, name, {3}, FSIZE=choose.choice(SMALL_FILES))


def few_descriptors(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Limit the number of open files."""
    return _limited(bench, name, {3}, NOFILE=choose.choice(DESCRIPTORS))


def little_memory(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Limit the address space."""
    here = int(Path(f"/proc/{bench.pid}/statm").read_text().split()[0]) * PAGE
    return _limited(bench, name, {3}, AS=here + choose.choice(MEMORY))


def removed_output(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Remove the folder of the output while the command runs."""
    folder = bench.folder()
    bench.prepare(name, folder)
    wanted = choose.randint(1, max(1, len(bench.trees[name]) // 2))
    with bench.started(bench.argv(name, folder)) as (command, log):
        wait_for(command, folder, wanted)
        remove(folder)
        code = command.wait()
    found = Done(code, log.read_text(errors="replace")).faults({3, 4, 5})
    remove(folder)
    folder.mkdir()
    bench.prepare(name, folder)
    return found + bench.finishes(name, folder)


def removed_input(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Remove an input while the command runs."""
    folder, read = bench.folder(), bench.inputs[name]
    bench.prepare(name, folder)
    aside = read.with_name(f"{read.name}.aside")
    wanted = choose.randint(1, max(1, len(bench.trees[name]) // 2))
    with bench.started(bench.argv(name, folder)) as (command, log):
        wait_for(command, folder, wanted)
        read.rename(aside)
        code = command.wait()
    aside.rename(read)
    found = Done(code, log.read_text(errors="replace")).faults({3, 5})
    return found + bench.finishes(name, folder)


def no_places(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let no folder of the user be there: home, temporary files, caches, state."""
    folder = bench.folder()
    names = ("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME")
    before, place = dict(os.environ), choose.choice(("/proc/nothing", "/dev/null", ""))
    try:
        for one in names:
            os.environ.pop(one, None)
            if place:
                os.environ[one] = place
        bench.prepare(name, folder)
        done = bench.run(bench.argv(name, folder))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return done.faults() + bench.finishes(name, folder)


def no_streams(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Close standard streams, or let them be full."""
    folder = bench.folder()
    bench.prepare(name, folder)
    full = os.open("/dev/full", os.O_WRONLY)
    closed = choose.choice(([], [0], [1], [2], [1, 2], [0, 1, 2]))
    streams = {"close": closed} if closed else {}
    code = Command(bench.address, bench.argv(name, folder), (full, full), **streams).wait()
    os.close(full)
    found = [] if code in (0, 3) else [f"closed {closed}, others full: exit code {code}"]
    return found + bench.finishes(name, folder)


def old_files(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let every file of an unfinished output be of 1970 or 2100: times tell no order."""
    folder = bench.folder()
    bench.prepare(name, folder)
    moment = choose.randint(1, len(bench.trees[name]) + 2)
    bench.run(bench.argv(name, folder), folder=str(folder), crash_at=moment)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (choose.choice((0, 4102444800)),) * 2)
    return bench.finishes(name, folder)


KINDS: dict[str, Kind] = {
    "full disk": full_disk,
    "no room for files": no_inodes,
    "read-only file system": read_only,
    "small files": small_files,
    "few descriptors": few_descriptors,
    "little memory": little_memory,
    "failing change": failing_change,
    "removed output": removed_output,
    "removed input": removed_input,
    "no places": no_places,
    "no streams": no_streams,
    "files of other times": old_files,
    "no permission": no_permission,
    "few processes": few_processes,
    "wrong clock": wrong_clock,
    "killed worker": killed_worker,
}
