"""Runs the commands of a case, in a process that the zygote has forked.

The argument is a plan in JSON: `memory` in bytes for the address space beyond that of the zygote,
and `steps`, for each name of a command its `argv`, its `folder` and the path of its `log`. Two
lines of JSON go to stdout for each command: its name when it starts, and its outcome at its end,
so that a reader knows which one has killed the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUT = "out"
FILE_SIZE = 1 << 28
"""Maximum size in bytes of a file that a command may write."""


def main(argv: list[str]) -> None:
    plan = json.loads(argv[0])
    # Children of a command, such as checks, keep it open beyond the end of this process.
    control = os.dup(1)
    os.set_inheritable(control, False)
    keep_parser()
    limit_memory(plan["memory"])
    folder, before = "", {}
    for name, step in plan["steps"].items():
        if folder != step["folder"]:
            folder = step["folder"]
            os.chdir(folder)
            before = dict(watched("."))
        send(control, {"start": name})
        outcome = perform(step["argv"], Path(step["log"]))
        after = dict(watched("."))
        changed = sorted({path for path, _ in before.items() ^ after.items()})
        before = after
        send(control, {"end": name, "changed": changed, **outcome})


def keep_parser() -> None:
    """Make the parser of the command line once: it takes longer than most commands."""
    import typer

    from ectool.cli import main as cli

    cli.app = typer.main.get_command(cli.app)


def limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))


def send(control: int, message: dict[str, Any]) -> None:
    os.write(control, json.dumps(message).encode() + b"\n")


def perform(arguments: list[str], log: Path) -> dict[str, Any]:
    """Run a command line as `python -m ectool` does; return code, seconds, and peak of memory."""
    with log.with_suffix(".out").open("wb") as out, log.with_suffix(".err").open("wb") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
    Path("/proc/self/clear_refs").write_text("5")
    start, busy, code = time.monotonic(), time.process_time(), 1
    try:
        from ectool.__main__ import main as ectool

        ectool(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    seconds, cpu = time.monotonic() - start, time.process_time() - busy
    return {"code": code, "seconds": seconds, "cpu": cpu, "peak": peak()}


def peak() -> int:
    """Return the maximum resident memory in bytes since it was reset."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def watched(folder: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield every entry below a folder with what changes if it is written; not the outputs."""
    for entry in os.scandir(folder):
        if folder == "." and entry.name == OUTPUT:
            continue
        stat = entry.stat(follow_symlinks=False)
        is_folder = entry.is_dir(follow_symlinks=False)
        own = (stat.st_ino, stat.st_mode, stat.st_nlink)
        yield entry.path, own if is_folder else (*own, stat.st_size, stat.st_mtime_ns)
        if is_folder:
            yield from watched(entry.path)
