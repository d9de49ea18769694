"""Every command with an output, small, with the bytes that it writes where nothing fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.forked import Command

TESTS = Path(__file__).parents[2]
LIMIT = 90.0
"""Seconds until a command counts as hanging."""
DOCUMENTED = {3}
"""Exit codes of faults of the machine."""


class NotHereError(Exception):
    """A fault that this user, machine or command does not have."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    text: str

    def faults(self, codes: set[int] = DOCUMENTED) -> list[str]:
        """Return what is wrong with the end of a command that could not finish."""
        found = []
        errors = [line for line in self.text.splitlines() if line.startswith("error: ")]
        if self.code == 0:
            return []
        if self.code not in codes:
            found.append(f"exit code {self.code}")
        if "Traceback" in self.text or "Exception ignored" in self.text:
            found.append("a traceback")
        if len(errors) != 1 or self.text.splitlines()[-1:] != errors:
            found.append(f"{len(errors)} lines of error")
        if any("bug in ectool" in line for line in errors):
            found.append("a bug")
        return [f"{one}: {' / '.join(self.text.splitlines()[-2:])[:400]}" for one in found]


@dataclass
class Bench:
    """A folder with inputs, and the process that forks commands.

    Attributes:
        root: The folder; outputs lie in folders in it.
        address: Socket of the zygote.
        pid: Process id of the zygote.
        commands: Command lines by name, without the output.
        outputs: Name of each output.
        prepared: Commands that come before, by the name of a command.
        inputs: Path that a command reads.
        trees: The bytes of every output.
    """

    root: Path
    address: str
    pid: int
    commands: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    prepared: dict[str, list[list[str]]] = field(default_factory=dict)
    inputs: dict[str, Path] = field(default_factory=dict)
    trees: dict[str, dict[str, bytes]] = field(default_factory=dict)
    count: int = 0

    def folder(self) -> Path:
        """Return a new folder for an output."""
        self.count += 1
        made = self.root / f"case-{self.count}"
        made.mkdir()
        return made

    def argv(self, name: str, folder: Path) -> list[str]:
        """Return the command line for an output in a folder."""
        return [*self.commands[name], str(folder / self.outputs[name])]

    def prepare(self, name: str, folder: Path) -> None:
        """Run what comes before a command."""
        for argv in self.prepared.get(name, []):
            done = self.run([*argv, str(folder / self.outputs[name])])
            assert done.code == 0, done.text

    @contextmanager
    def started(self, argv: list[str], **options: Any) -> Iterator[tuple[Command, Path]]:
        """Start a command; yield it, and the file with its streams."""
        self.count += 1
        log = self.root / f"log-{self.count}"
        with log.open("wb") as file:
            command = Command(self.address, argv, (file.fileno(), file.fileno()), **options)
        yield command, log

    def run(self, argv: list[str], **options: Any) -> Done:
        """Run a command."""
        with self.started(argv, **options) as (command, log):
            return Done(command.wait(), log.read_text(errors="replace"))

    def refer(self) -> None:
        """Run every command where nothing fails, and keep the bytes."""
        for name in self.commands:
            folder = self.folder()
            self.prepare(name, folder)
            done = self.run(self.argv(name, folder))
            assert done.code == 0, (name, done.text)
            self.trees[name] = tree(folder)

    def finishes(self, name: str, folder: Path) -> list[str]:
        """Run a command once more; return how it or its bytes differ from those without a fault."""
        done = self.run(self.argv(name, folder))
        if done.code != 0:
            return [f"does not finish: {done.text[-400:]}"]
        found, wanted = tree(folder), self.trees[name]
        differing = {n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n)}
        return [f"other bytes afterwards: {sorted(differing)[:5]}"] if differing else []


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def until(is_so: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait for a condition; return whether it came true."""
    end = time.monotonic() + seconds
    while not (found := is_so()) and time.monotonic() < end:
        time.sleep(0.001)
    return found


def wait_for(command: Command, folder: Path, count: int) -> None:
    """Wait until a folder has some entries, or the command has ended."""
    process = Path(f"/proc/{command.pid}")
    until(lambda: entries(folder) >= count or not process.exists())


def entries(folder: Path) -> int:
    """Return the number of files and folders below a folder."""
    try:
        return sum(1 for _ in folder.rglob("*"))
    except OSError:
        return 0


def remove(folder: Path) -> None:
    """Remove a folder in which a command still writes."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
