"""Real processes that are really killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ZYGOTE = Path(__file__).with_name("zygote.py")


@dataclass
class Process:
    """A running command."""

    pid: int
    log: Path
    zygote: Zygote

    def wait(self) -> int:
        """Return the exit code; negative for the signal that ended it."""
        return self.zygote.hear()["code"]

    def kill_when(self, is_time: Callable[[], bool], signal: int, delay: float = 0) -> int:
        """Send a signal some seconds after a condition holds, and wait; it may end before that."""
        stop = time.monotonic() + 60
        while not is_time() and time.monotonic() < stop:
            time.sleep(0.0005)
        time.sleep(delay)
        os.kill(self.pid, signal)
        return self.wait()


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
        process = self.start(*argv, **request)
        return process.wait()


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
