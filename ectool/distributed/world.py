"""The place of this process among those of its job, as torchrun tells it. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from ectool.errors import UsageError

RANK, SIZE, LOCAL_RANK = "RANK", "WORLD_SIZE", "LOCAL_RANK"
RESTART = "TORCHELASTIC_RESTART_COUNT"
HOST, PORT, STORE_HELD = "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"
"""Variables that torchrun sets in every process that it starts."""
STRANGERS = {
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "PMI_SIZE": "PMI_RANK",
}
"""Variables of launchers that tell their processes nothing of a job of torch: size, and rank."""
_is_apart = ContextVar("_is_apart", default=False)
"""Whether this process computes something without the others."""


@dataclass(frozen=True)
class World:
    """This process among those of its job.

    Attributes:
        rank: Its number, from 0.
        size: Number of processes on all machines.
        local_rank: Its number among those of this machine.
        restart: How often torchrun has started all processes again.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    restart: int = 0

    @property
    def is_first(self) -> bool:
        """Return whether this is rank 0, the only one that prints and publishes."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Return whether there are no other processes."""
        return self.size == 1


def world(environ: Mapping[str, str] = os.environ) -> World:
    """Return the place of this process; a single process unless RANK and WORLD_SIZE are set.

    Raises:
        UsageError: A variable is not a number, or the rank is not below the number of processes.
    """
    if RANK not in environ or SIZE not in environ:
        return World()
    size = _number(environ, SIZE, 1)
    rank = _number(environ, RANK, 0)
    if rank >= size:
        raise _unusable(RANK, f"a number below {SIZE}, {size}", str(rank))
    local_rank, restart = _number(environ, LOCAL_RANK, 0), _number(environ, RESTART, 0)
    if _is_apart.get():
        return World(local_rank=local_rank, restart=restart)
    return World(rank, size, local_rank, restart)


def has_others(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether this is one of several processes, also while it computes without them."""
    return RANK in environ and SIZE in environ and _number(environ, SIZE, 1) > 1


def strangers(environ: Mapping[str, str] = os.environ) -> tuple[str, int] | None:
    """Return how many processes `srun` or `mpirun` has started beside each other, in its first one.

    Returns:
        The variable that says so, and their number; None in the others, and where the variables
        of torchrun are set as well.
    """
    if RANK in environ and SIZE in environ:
        return None
    for size, rank in STRANGERS.items():
        count = environ.get(size, "")
        if count.isdecimal() and int(count) > 1 and environ.get(rank) == "0":
            return size, int(count)
    return None


@contextmanager
def apart() -> Iterator[None]:
    """Make this process a single one while the block runs: it shares nothing with the others."""
    before = _is_apart.set(True)
    try:
        yield
    finally:
        _is_apart.reset(before)


def meeting_point(environ: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Return host and port at which the processes of this job meet.

    Raises:
        UsageError: A variable is missing, or not a port.
    """
    if not environ.get(HOST):
        raise _unusable(HOST, "the host of rank 0", "none")
    return environ[HOST], _number(environ, PORT, 1)


def is_store_held(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether the launcher already listens at the meeting point."""
    return environ.get(STORE_HELD) == str(True)


def _number(environ: Mapping[str, str], name: str, minimum: int) -> int:
    text = environ.get(name, str(minimum))
    if not text.isdecimal() or int(text) < minimum:
        raise _unusable(name, f"an integer, at least {minimum}", repr(text))
    return int(text)


def _unusable(name: str, expected: str, got: str) -> UsageError:
    return UsageError(
        f"variable {name}",
        expected=expected,
        got=got,
        fix="start the processes with torchrun, or unset it",
    )
