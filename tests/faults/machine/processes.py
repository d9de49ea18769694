"""Users, limits and clocks that need a new process, and processes that are killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests.faults.machine.bench import LIMIT, Bench, Done, NotHereError, entries, until

CLOCKS = ("@1970-01-02 00:00:00", "@2100-01-01 00:00:00")
NOBODY = 65534


def _new_process(bench: Bench, name: str, folder: Path, *before: str, **variables: str) -> Done:
    """Run a command in a new Python, behind other programs."""
    argv = [*before, sys.executable, "-m", "ectool", *bench.argv(name, folder)]
    done = subprocess.run(
        argv,
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    return Done(done.returncode, done.stderr)


def _of_nobody(bench: Bench, name: str, folder: Path, *before: str) -> Done:
    """Run a command as a user who may read everything, and write into a folder for temporary files.

    Raises:
        NotHereError: This user is not root, or a program is missing.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise NotHereError
    caps = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    user = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *caps)
    place = str(folder.parent / "nobody")
    variables = {"HOME": place, "TMPDIR": place, "XDG_STATE_HOME": place}
    return _new_process(bench, name, folder, *user, *before, **variables)


def no_permission(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let the folder, or what an interrupted command has left in it, be of somebody else."""
    folder = bench.folder()
    bench.prepare(name, folder)
    if choose.random() < 0.5:
        moment = choose.randint(1, len(bench.trees[name]) + 2)
        bench.run(bench.argv(name, folder), folder=str(folder), crash_at=moment)
        os.chown(folder, NOBODY, NOBODY)
    found = _of_nobody(bench, name, folder).faults({3, 4})
    os.chown(folder, 0, 0)
    return found + bench.finishes(name, folder)


def few_processes(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Limit the number of processes and threads of the user."""
    folder, count = bench.folder(), choose.choice((1, 2, 3, 5))
    bench.prepare(name, folder)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    found = _of_nobody(bench, name, folder, "prlimit", f"--nproc={count}").faults()
    return [f"{count} processes: {one}" for one in found] + bench.finishes(name, folder)


def wrong_clock(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let the clock be at 1970 or 2100 while the command runs.

    Raises:
        NotHereError: libfaketime is not installed.
    """
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None:
        raise NotHereError
    folder = bench.folder()
    bench.prepare(name, folder)
    clock = choose.choice(CLOCKS)
    fake = {"LD_PRELOAD": str(library), "FAKETIME": clock, "DONT_FAKE_MONOTONIC": "1"}
    done = _new_process(bench, name, folder, **fake)
    found = [] if done.code == 0 else [f"{clock}: {done.text[-300:]}"]
    return found + bench.finishes(name, folder)


def killed_worker(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Kill one of several processes that share the work.

    Raises:
        NotHereError: The command does not share it.
    """
    if name != "run":
        raise NotHereError
    folder = bench.folder()
    argv = [sys.executable, "-m", "ectool", *bench.argv(name, folder), "--processes", "2"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with process:
        until(lambda: entries(folder) > 3, LIMIT)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        workers = [pid for pid in children if "spawn_main" in _command(pid)]
        if workers:
            os.kill(int(choose.choice(workers)), signal.SIGKILL)
        _, text = process.communicate(timeout=LIMIT)
    return Done(process.returncode, text).faults() + bench.finishes(name, folder)


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
