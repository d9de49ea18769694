"""Read batches ahead, on one or several threads, and hand them out in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

from ectool.config import DeviceOptions
from ectool.options import Options

Item = TypeVar("Item")
Batch = TypeVar("Batch")
MOST = 8
"""Maximum number of threads that are started without `--workers`."""


def workers_of(options: Options, device: str) -> int:
    """Return the number of threads that read batches.

    One on a CPU, whose cores compute, and for stages without a device; as many as there are cores,
    but at most `MOST`, beside an accelerator; else as the options say.

    Args:
        options: The options of the stage.
        device: Name of the device that computes.
    """
    if not isinstance(options, DeviceOptions):
        return 1
    cores = 1 if device.partition(":")[0] == "cpu" else os.cpu_count() or 1
    return options.workers or min(cores, MOST)


def read_ahead(
    read: Callable[[Item], Batch], items: Iterable[Item], *, workers: int = 1, ahead: int = 2
) -> Iterator[Batch]:
    """Yield ``read(item)`` of each item, in order, while threads read the next ones.

    The first item is read alone, so that what is made at first use is made once.

    Args:
        read: Reads a batch; called in another thread, and from the second item on in several.
        items: What to read.
        workers: Number of threads.
        ahead: Number of batches that are read before they are needed; at least one more than
            `workers`.
    """
    left = iter(items)
    readers = ThreadPoolExecutor(workers)
    try:
        waiting = deque(readers.submit(read, item) for item in islice(left, 1))
        if waiting and workers > 1:
            wait(waiting)
        waiting += [readers.submit(read, item) for item in islice(left, max(ahead - 1, workers))]
        while waiting:
            batch = waiting.popleft().result()
            waiting += [readers.submit(read, item) for item in islice(left, 1)]
            yield batch
    finally:
        readers.shutdown(cancel_futures=True)
