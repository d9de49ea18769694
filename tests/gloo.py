"""Ranks as threads of this process, with real gloo between them: they need no new Python."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

from torch import Tensor
from torch.distributed import HashStore, PrefixStore, ProcessGroupGloo

from ectool.training.ranks.ranks import Ranks

TIMEOUT = timedelta(seconds=60)

Result = TypeVar("Result")


class Gloo:
    """Sums over the ranks of a process group that is not the default one of the process."""

    def __init__(self, store: HashStore, rank: int, size: int) -> None:
        self.group = ProcessGroupGloo(PrefixStore("ranks", store), rank, size, TIMEOUT)

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the ranks."""
        self.group.allreduce([tensor]).wait()


def on_ranks(size: int, work: Callable[[Ranks], Result]) -> list[Result]:
    """Return what `work` returns on each rank."""
    store = HashStore()

    def run(rank: int) -> Result:
        return work(Ranks(size, rank, Gloo(store, rank, size)))

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(run, range(size)))
