"""Commands in several processes (ranks) of one job, started by the zygote as by torchrun."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from forked import Command


def start(address: str, argv: list[str], size: int, place: Path, **options) -> list[Command]:
    """Start the ranks of a job; rank R writes to the files `out-R` and `err-R` of a folder.

    Args:
        address: Address of the zygote.
        argv: Arguments of ectool.
        size: Number of ranks.
        place: Folder of the outputs.
        options: Further options of the zygote, for the last rank.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    job = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    found = []
    for rank in range(size):
        with ExitStack() as stack:
            streams = [
                stack.enter_context((place / f"{name}-{rank}").open("wb")).fileno()
                for name in ("out", "err")
            ]
            number = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            stack.enter_context(mock.patch.dict(os.environ, job | number))
            own = options if rank == size - 1 else {}
            found.append(Command(address, argv, (streams[0], streams[1]), **own))
    return found


def finish(processes: list[Command], folder: Path) -> str:
    """Wait for all ranks, of which none may fail; return what rank 0 wrote to stdout."""
    codes = [process.wait() for process in processes]
    texts = [(folder / f"err-{rank}").read_text() for rank in range(len(processes))]
    assert codes == [0] * len(processes), texts
    assert texts[1:] == [""] * (len(processes) - 1)
    return (folder / "out-0").read_text()
