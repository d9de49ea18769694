"""Real processes, killed by signals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import Command

# A shell that runs the tests in the background has them ignore Ctrl-C, and their processes too.
signal.signal(signal.SIGINT, signal.default_int_handler)

PATIENCE = 60


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

    def succeed(self, *argv: object) -> None:
        """Run a command that must succeed."""
        process = self.start(*argv)
        assert process.wait() == 0, process.log.read_text()


@pytest.fixture(scope="session")
def zygote(zygote_socket: str, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Zygote:
    """Return the zygote; `data_root` sets the folder of the data."""
    return Zygote(zygote_socket, tmp_path_factory.mktemp("logs"))
