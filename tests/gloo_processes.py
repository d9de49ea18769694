"""What the processes of a job do in tests of the process group; run by the zygote."""

from __future__ import annotations

import json
import os
import sys


def main(arguments: list[str]) -> None:
    """Call a function of this module by name, and print its result as JSON."""
    sys.stdout.write(json.dumps(globals()[arguments[0]]()))
    sys.exit(0)


def exchange() -> list[object]:
    """Use every method twice, in groups that follow each other and are nested."""
    import torch

    from ectool.distributed.group import joined

    found: list[object] = []
    for _ in range(2):
        with joined() as group, joined() as inner:
            rank = group.world.rank
            total = torch.full((2,), float(rank + 1))
            group.all_reduce(total)
            inner.barrier()
            found.append([total.tolist(), group.broadcast([rank, "a"]), inner.gather(rank)])
        found.append(torch.distributed.is_initialized())
    return found


def lose() -> str:
    """Rank 1 ends without a word; the others wait for it."""
    from ectool.distributed import group as module
    from ectool.errors import PeerError

    module.GRACE = 0.1
    with module.joined() as group:
        group.barrier()
        if group.world.rank == 1:
            os._exit(0)
        try:
            group.barrier()
        except PeerError as error:
            return str(error)
    return "nothing"


def wait() -> None:
    """Rank 0 waits for rank 1, which never comes, until a signal interrupts it."""
    from ectool.cli import signals
    from ectool.distributed.group import joined

    signals.install()
    try:
        with joined():
            pass
    except KeyboardInterrupt:
        sys.exit(130)


def decide() -> list[object]:
    """Rank 0 alone calls, as a single process; its errors end the call in every process."""
    from ectool.distributed.group import joined
    from ectool.distributed.world import world
    from ectool.errors import UsageError

    def refuse() -> None:
        raise UsageError("--a", expected="b", got="c", fix="d")

    with joined() as group:
        found: list[object] = [group.from_first(lambda: [os.environ["RANK"], world().size])]
        try:
            group.from_first(refuse)
        except UsageError as error:
            found.append(str(error))
        return [*found, world().size]


def miss() -> str:
    """Wait a second for processes that never come, and say for whom after a short time."""
    from datetime import timedelta

    from ectool.distributed import group, meeting
    from ectool.errors import PeerError

    group.GRACE = 0.1
    meeting.ARRIVAL, meeting.UNTOLD = timedelta(seconds=1), timedelta(seconds=0.2)
    meeting.ATTEMPT = timedelta(seconds=0.3)
    try:
        with group.joined():
            return "nothing"
    except PeerError as error:
        return str(error)
