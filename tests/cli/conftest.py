"""Commands in new processes, with streams and limits chosen by the test."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import pytest
from forked import Command


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def line(self) -> str:
        """Return the one line of an error, after checking that it is one."""
        lines = self.err.splitlines()
        errors = [line for line in lines if line.startswith("error: ")]
        assert lines[-1:] == errors, self.err
        assert "Traceback" not in self.err, self.err
        assert "Exception ignored" not in self.err, self.err
        return lines[-1]


@pytest.fixture
def run(zygote_socket, data_root, tmp_path_factory, monkeypatch):
    """Return a function that runs a command; tracebacks go to a temporary folder.

    Its streams are pipes, unless a descriptor is given as `out` or `err`.
    """
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))

    def call(*argv: object, out: int | None = None, err: int | None = None, **options: Any) -> Done:
        pipes = [os.pipe() for _ in range(2)]
        given = [pipes[0][1] if out is None else out, pipes[1][1] if err is None else err]
        arguments = [os.fsdecode(part) if isinstance(part, bytes) else str(part) for part in argv]
        command = Command(zygote_socket, arguments, (given[0], given[1]), **options)
        for _, writing in pipes:
            os.close(writing)
        texts = []
        for reading, _ in pipes:
            with os.fdopen(reading, "rb") as file:
                texts.append(file.read())
        return Done(command.wait(), texts[0], texts[1].decode(errors="replace"))

    return call
