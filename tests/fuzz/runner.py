"""Runs commands in forked processes: one process for several commands, as long as it lives."""

from __future__ import annotations

import hashlib
import json
import os
import select
import signal
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .bytes_changes import HUGE
from .zygotes import Command

SECONDS = 10
"""Time limit of a command on a core of its own; on a busy machine it has more."""
MEMORY = 3 << 30
"""Address space in bytes that a command may take beyond that of the zygote."""
KEPT = ("PATH", "PYTHONPATH", "LANG")
"""Variables of the environment that commands see."""


class Task(NamedTuple):
    """A command line, and the folder of its case."""

    folder: Path
    argv: Sequence[str]


@dataclass
class Outcome:
    """What a command did.

    Attributes:
        code: Exit code, negative for a signal; None if it was killed at the time limit.
        cpu: Seconds of processors.
        peak: Maximum resident memory in bytes.
        changed: Files outside of the outputs that it has changed or made.
        files: Digest of each file of its output, without manifests, which name their inputs.
        written: Names of those that were not there before.
    """

    code: int | None
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    changed: Sequence[str] = ()
    out: bytes = b""
    err: bytes = b""
    files: Mapping[str, str] = field(default_factory=dict)
    written: Collection[str] = ()


class Workplace:
    """A folder with the corpus and a folder for each case.

    Args:
        root: The folder; `base` in it is the corpus.
        address: Of the zygote.
        url: Address at which the folder is served.
    """

    def __init__(self, root: Path, address: str, url: str = "") -> None:
        self.root = root
        self.address = address
        self.url = url
        self.base = root / "base"
        self.cases = root / "cases"

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of commands in a folder: nothing of the user's."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return kept | {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "MPLCONFIGDIR": str(self.base / "matplotlib"),
            "ECTOOL_DATA": str(self.base / "data"),
            "ECTOOL_CACHE": str(folder / "out/cache"),
            "XDG_STATE_HOME": str(folder.with_name(folder.name + ".logs")),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, tasks: Mapping[str, Task], seconds: float = SECONDS) -> dict[str, Outcome]:
        """Run commands, those after a killed one in a new process; return what each did.

        Args:
            tasks: The commands by name.
            seconds: Time limit of each.
        """
        before = {name: set(outputs(*task)) for name, task in tasks.items()}
        outcomes: dict[str, Outcome] = {}
        while left := {name: task for name, task in tasks.items() if name not in outcomes}:
            outcomes |= self._fork(left, seconds)
        for name, outcome in outcomes.items():
            folder, argv = tasks[name]
            log = log_of(folder, name)
            text = log.with_suffix(".out").read_bytes()
            outcome.out = text.replace(folder.name.encode(), b"CASE")
            outcome.err = log.with_suffix(".err").read_bytes()
            after = outputs(folder, argv)
            outcome.files = {str(path.relative_to(folder)): digest(path) for path, _ in after}
            new = set(after) - before[name]
            outcome.written = {str(path.relative_to(folder)) for path, _ in new}
        return outcomes

    def _fork(self, tasks: Mapping[str, Task], seconds: float) -> dict[str, Outcome]:
        """Run commands in one process until it ends."""
        steps = {
            name: {"folder": str(folder), "argv": argv, "log": str(log_of(folder, name))}
            for name, (folder, argv) in tasks.items()
        }
        first = next(iter(tasks.values())).folder
        reading, writing = os.pipe()
        errors = self.root / f"errors-{writing}"
        with os.fdopen(reading, "rb", buffering=0) as control, errors.open("wb") as err:
            command = Command(
                self.address,
                [json.dumps({"memory": MEMORY, "steps": steps})],
                (writing, err.fileno()),
                module="fuzz.child",
                environment=self.environment(first),
            )
            os.close(writing)
            outcomes, running = follow(control, command.pid, seconds)
            code = command.wait()
        if running is not None:
            outcomes[running] = Outcome(None if code == -signal.SIGKILL else code, SECONDS)
        elif not outcomes:
            raise RuntimeError(errors.read_text())
        return outcomes


def log_of(folder: Path, name: str) -> Path:
    """Return the path of what a command prints, without its suffix: .out or .err."""
    logs = folder.with_name(folder.name + ".logs")
    logs.mkdir(exist_ok=True)
    return logs / name


def follow(control: Any, pid: int, seconds: float) -> tuple[dict[str, Outcome], str | None]:
    """Read the outcomes of commands; kill the process when one exceeds the time limit.

    Returns:
        The outcomes, and the name of the command that has not come to its end.
    """
    outcomes: dict[str, Outcome] = {}
    running: str | None = None
    seconds *= max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
    deadline, text = time.monotonic() + 3 * seconds, b""
    while True:
        if not select.select([control], [], [], max(0, deadline - time.monotonic()))[0]:
            os.kill(pid, signal.SIGKILL)
            return outcomes, running
        block = control.read(1 << 16)
        if not block:
            return outcomes, running
        *lines, text = (text + block).split(b"\n")
        for message in map(json.loads, lines):
            if "start" in message:
                running, deadline = message["start"], time.monotonic() + seconds
            else:
                name = message.pop("end")
                outcomes[name] = Outcome(**message)
                running = None


def outputs(folder: Path, argv: Sequence[str]) -> list[tuple[Path, int]]:
    """Return every file of the results of a command, and when it was changed."""
    after = argv.index("--output") + 1 if "--output" in argv else -1
    named = [part for part in (argv[after:][:1] if after > 0 else argv) if part[:4] == "out/"]
    return [
        (path, path.stat().st_mtime_ns)
        for output in (folder / name for name in named)
        for path in (output.rglob("*") if output.is_dir() else (output,))
        if path.is_file() and path.name != "manifest.json" and path.stat().st_size < HUGE
    ]


def digest(path: Path) -> str:
    """Return the digest of a file; a link to /proc/self/mem is a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return f"not readable: {error}"
