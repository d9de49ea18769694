"""Commands as real processes, forked by the zygote: for the tests of faults, kills and soak."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.forked import Command

PATIENCE = 60


@contextmanager
def serving() -> Iterator[str]:
    """Yield the address of a new zygote, which ends with the block."""
    # In a new folder, because the path of a socket must not be long.
    with tempfile.TemporaryDirectory() as folder:
        address = str(Path(folder) / "zygote")
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py")), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield address
            assert process.stdin is not None
            process.stdin.close()


class Process(Command):
    """A running command whose stdout and stderr go to a file."""

    def __init__(self, address: str, log: Path, argv: list[str], **options: Any) -> None:
        self.log = log
        with log.open("wb") as file:
            super().__init__(address, argv, (file.fileno(), file.fileno()), **options)

    def wait_until(self, is_time: Callable[[], bool]) -> None:
        """Wait for a condition, at most `PATIENCE` seconds."""
        stop = time.monotonic() + PATIENCE
        while not is_time():
            assert time.monotonic() < stop, self.log.read_text()
            time.sleep(0.0005)

    def send(self, number: int, delay: float = 0) -> None:
        """Send a signal after some seconds."""
        time.sleep(delay)
        os.kill(self.pid, number)


class Zygote:
    """The process that forks commands."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.count = 0

    def start(self, *argv: object, **options: Any) -> Process:
        """Start a command."""
        self.count += 1
        log = self.folder / f"{self.count}.log"
        return Process(self.address, log, [str(part) for part in argv], **options)

    def succeed(self, *argv: object, **options: Any) -> None:
        """Run a command that must succeed."""
        process = self.start(*argv, **options)
        assert process.wait() == 0, process.log.read_text()


def tree_of(root: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its relative path; or of a file."""
    if root.is_file():
        return {root.name: root.read_bytes()}
    paths = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
