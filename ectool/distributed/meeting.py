"""How the processes of a job find each other: the store of the job, and who has arrived."""

from __future__ import annotations

import itertools
import logging
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ectool.distributed.world import World, is_store_held, meeting_point
from ectool.errors import PeerError

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]  # listed in no __all__

ARRIVAL = timedelta(minutes=2)
"""Maximum time between the first and the last process that joins."""
LAUNCHED_ARRIVAL = timedelta(minutes=10)
"""The same where torchrun has started all of them: they may be slow, but they come."""
TIMEOUT = timedelta(hours=2)
"""Maximum time to wait for the others, e.g. for their last shard. A dead one is noticed at once."""
ATTEMPT = timedelta(seconds=3)
"""Time of one attempt to reach the store of the job."""
UNTOLD = timedelta(seconds=10)
"""Time after which the first process that waits says for which others."""
SHORTEST, LONGEST = 1e-4, 0.02
"""Seconds between two looks."""
LOG = logging.getLogger(__name__)
_joins = itertools.count()
"""Number of the next group: the keys of an earlier one would look like arrivals."""


def met(here: World) -> Store:
    """Return the store of this job when all of its processes have arrived.

    Torchrun holds the store; without torchrun, rank 0 does.

    Args:
        here: This process among them.

    Raises:
        PeerError: A process did not come in time.
        UsageError: The variables name no meeting point.
    """
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]

    meeting = _Meeting(here)
    name = f"ectool-{here.restart}-{next(_joins)}"
    meeting.store = PrefixStore(name, _open(here, meeting))
    meeting.store.set(_arrival(here.rank), "here")
    meeting.wait_until(lambda: not meeting.absent())
    return meeting.store


@dataclass
class _Meeting:
    """The wait for all processes of a job.

    Attributes:
        here: This process.
        store: Where they say that they have arrived; None before it is found.
    """

    here: World
    store: Store | None = None
    place: str = field(default_factory=lambda: ":".join(map(str, meeting_point())))
    begin: float = field(default_factory=time.monotonic)
    is_told: bool = False

    def wait_until(self, is_time: Callable[[], bool]) -> None:
        """Look often; say after a while what is waited for.

        Raises:
            PeerError: The time is over.
        """
        limit = LAUNCHED_ARRIVAL if is_store_held() else ARRIVAL
        left = limit.total_seconds() - (time.monotonic() - self.begin)
        wait_until(is_time, left, lambda: self._late(limit), lambda: self._tell(limit))

    def absent(self) -> list[int]:
        """Return the ranks that have not arrived; only the first one before the store is found."""
        if self.store is None:
            return [0]
        ranks = range(self.here.size)
        if self.store.check([_arrival(rank) for rank in ranks]):
            return []
        return [rank for rank in ranks if not self.store.check([_arrival(rank)])]

    def _tell(self, limit: timedelta) -> None:
        """Say once for whom this process waits, if it is the first that does."""
        if self.is_told or time.monotonic() < self.begin + UNTOLD.total_seconds():
            return
        self.is_told, absent, here = True, self.absent(), self.here
        others = set(range(here.size)) - {*absent}
        is_first = here.local_rank == 0 if self.store is None else here.rank == min(others)
        if absent and is_first:
            text = "rank %d of %d waits for %s at %s, at most %s"
            LOG.warning(text, here.rank, here.size, _named(absent), self.place, limit)

    def _late(self, limit: timedelta) -> PeerError:
        return PeerError(
            f"{_named(self.absent())} of {self.here.size}",
            expected=f"to join at {self.place} within {limit}",
            got="no sign of it",
            fix="start one process for each rank, e.g. with torchrun, or unset RANK and WORLD_SIZE",
        )


def _named(ranks: Sequence[int]) -> str:
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"


def _open(here: World, meeting: _Meeting) -> Store:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = meeting_point()
    is_master = here.is_first and not is_store_held()
    opened: list[TCPStore] = []

    def is_open() -> bool:
        # torch prints a C++ traceback for each connection that is refused
        if is_master or _is_heard(host, port):
            with suppress(RuntimeError):
                opened.append(
                    TCPStore(
                        host,
                        port,
                        is_master=is_master,
                        timeout=ATTEMPT,
                        wait_for_workers=False,
                        multi_tenant=True,
                    )
                )
        return bool(opened)

    meeting.wait_until(is_open)
    opened[0].set_timeout(TIMEOUT)
    return opened[0]


def _is_heard(host: str, port: int) -> bool:
    """Return whether somebody listens at an address."""
    try:
        with socket.create_connection((host, port), ATTEMPT.total_seconds()):
            return True
    except OSError:
        return False


def _arrival(rank: int) -> str:
    return f"arrival-{rank}"


def wait_until(
    is_time: Callable[[], bool],
    seconds: float,
    late: Callable[[], PeerError],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Look often at first, then less often.

    Args:
        is_time: Returns whether the wait is over.
        seconds: Maximum time.
        late: Returns the error after that time.
        meanwhile: Called after each look.

    Raises:
        PeerError: The time is over.
    """
    end, pause = time.monotonic() + seconds, SHORTEST
    while not is_time():
        if time.monotonic() > end:
            raise late()
        meanwhile()
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)
