"""Processes of a job, as their launcher starts them."""

from __future__ import annotations

import socket

import pytest
from forked import Command


@pytest.fixture
def start(zygote_socket, tmp_path, monkeypatch):
    """Return a function that starts the processes of a job; each writes its own file."""

    def started(function, size, ranks=None):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        monkeypatch.setenv("MASTER_ADDR", "localhost")
        monkeypatch.setenv("MASTER_PORT", str(port))
        monkeypatch.setenv("WORLD_SIZE", str(size))
        found = []
        for rank in range(size) if ranks is None else ranks:
            monkeypatch.setenv("RANK", str(rank))
            with (
                (tmp_path / str(rank)).open("wb") as out,
                (tmp_path / f"{rank}.err").open("wb") as err,
            ):
                streams = (out.fileno(), err.fileno())
                found.append(Command(zygote_socket, [function], streams, module="gloo_processes"))
        return found

    return started
