"""Real processes that are really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# A shell that runs the tests in the background has them ignore Ctrl-C, and their processes too.
signal.signal(signal.SIGINT, signal.default_int_handler)

ZYGOTE = Path(__file__).with_name("zygote.py")
PATIENCE = 60


@dataclass
class Process:
    """A running command."""

    pid: int
    log: Path
    zygote: Zygote

    def wait(self) -> int:
        """Return the exit code; negative for the signal that ended it."""
        return self.zygote.hear()["code"]

    def wait_until(self, is_time: Callable[[], bool]) -> None:
        """Wait for a condition, as long as the test can stand it."""
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

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.count = 0
        assert self.hear() == {"ready": 1}

    def hear(self) -> dict[str, int]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def start(self, *argv: object, **request: Any) -> Process:
        """Start a command."""
        self.count += 1
        log = self.folder / f"{self.count}.log"
        line = json.dumps({"argv": [str(a) for a in argv], "log": str(log), **request})
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return Process(self.hear()["pid"], log, self)

    def run(self, *argv: object, **request: Any) -> int:
        """Start a command and return its exit code."""
        return self.start(*argv, **request).wait()

    def succeed(self, *argv: object) -> None:
        """Run a command that has to end well."""
        process = self.start(*argv)
        assert process.wait() == 0, process.log.read_text()


@pytest.fixture(scope="session")
def zygote(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Return the process that forks commands; they share its imports, nothing else."""
    process = subprocess.Popen(
        [sys.executable, str(ZYGOTE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        yield Zygote(process, tmp_path_factory.mktemp("logs"))
        assert process.stdin is not None
        process.stdin.close()
