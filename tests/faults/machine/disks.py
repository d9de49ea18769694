"""Disks that are full, have no room for files, are read-only, or fail."""

from __future__ import annotations

import errno
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.machine.bench import Bench, NotHereError

PAGE = 4096


def pages_of(bench: Bench, name: str) -> int:
    """Return the number of pages of a whole output."""
    return sum(1 + len(data) // PAGE for data in bench.trees[name].values())


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount a file system in memory on a folder.

    Raises:
        NotHereError: This user may not.
    """
    argv = ["mount", "-t", "tmpfs", "-o", ",".join(("mode=755", *options)), "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        raise NotHereError
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, *options: str) -> None:
    """Change a mounted file system."""
    argv = ["mount", "-o", ",".join(("remount", *options)), str(folder)]
    subprocess.run(argv, capture_output=True, check=True)


def full_disk(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let the disk be full after a part of the output."""
    folder, pages = bench.folder(), pages_of(bench, name)
    with mounted(folder, "size=64m"):
        bench.prepare(name, folder)
        used = os.statvfs(folder)
        size = used.f_blocks - used.f_bfree + max(1, int(choose.uniform(0, 1.5) * pages))
        remount(folder, f"size={size * PAGE}")
        found = bench.run(bench.argv(name, folder)).faults()
        remount(folder, "size=64m")
        return found + bench.finishes(name, folder)


def no_inodes(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let the disk have no room for another file."""
    folder, files = bench.folder(), len(bench.trees[name])
    with mounted(folder, "size=64m"):
        bench.prepare(name, folder)
        used = os.statvfs(folder)
        count = used.f_files - used.f_ffree + int(choose.uniform(0, 2.0) * files)
        remount(folder, f"nr_inodes={count}")
        found = bench.run(bench.argv(name, folder)).faults()
        remount(folder, "nr_inodes=100k")
        return found + bench.finishes(name, folder)


def read_only(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let the file system of the output be read-only."""
    del choose
    folder = bench.folder()
    with mounted(folder, "size=64m"):
        bench.prepare(name, folder)
        remount(folder, "ro")
        done = bench.run(bench.argv(name, folder))
        remount(folder, "rw")
        found = ["succeeds"] if done.code == 0 else done.faults()
        return found + bench.finishes(name, folder)


def failing_change(bench: Bench, name: str, choose: random.Random) -> list[str]:
    """Let any change of a file, and all that follow, fail with an error of the system."""
    folder = bench.folder()
    bench.prepare(name, folder)
    number = choose.choice((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES))
    moment = choose.randint(1, 2 * len(bench.trees[name]) + 4)
    fault = {"folder": str(folder), "crash_at": moment, "errno": number}
    found = bench.run(bench.argv(name, folder), **fault).faults()
    found = [f"{errno.errorcode[number]} at {moment}: {one}" for one in found]
    return found + bench.finishes(name, folder)
