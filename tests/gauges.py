"""What a process holds: memory, descriptors, threads, processes; and the check that it is flat."""

from __future__ import annotations

import gc
import os
import statistics
import threading
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from tests.kills.moments import descendants

SELF = Path("/proc/self")
PAGE = os.sysconf("SC_PAGE_SIZE")
WARM_UP = 0.25
"""Share of the rounds that may grow: caches fill, and libraries start their threads."""
POOL, POOLED = "asyncio_", (os.cpu_count() or 1) + 4
"""Name of the threads of the pool in which zarr waits for files, and their maximum number; it
starts one more whenever all are busy."""
FIRST = 4
"""Minimum number of these rounds."""
GROWTH, PEAK = 0.05, 1.10
"""Allowed growth of the memory over all rounds after the warm-up, and its maximum, both relative to
its median there."""


def gauges() -> dict[str, float]:
    """Return what this process holds now; memory in bytes."""
    gc.collect()
    return {
        "memory": int((SELF / "statm").read_text().split()[1]) * PAGE,
        "descriptors": len(list((SELF / "fd").iterdir())),
        "threads": len(list((SELF / "task").iterdir())) - min(_pooled(), POOLED),
        "processes": len(descendants(os.getpid())),
    }


def _pooled() -> int:
    return sum(thread.name.startswith(POOL) for thread in threading.enumerate())


def leaks(rounds: Sequence[Mapping[str, float]], memory: str = "memory") -> list[str]:
    """Return what is not flat over rounds, one sentence each.

    After the warm-up, the slope of the memory (median of the slopes of all pairs of rounds) times
    the number of rounds stays below 5 % of its median, and its maximum below 110 % of it. All else
    never exceeds its maximum during the warm-up.
    """
    warm = max(FIRST, int(len(rounds) * WARM_UP))
    found = [
        f"{name}: {max(one[name] for one in rounds[warm:])} after at most "
        f"{max(one[name] for one in rounds[:warm])} in the first {warm} rounds"
        for name in rounds[0]
        if name != memory
        and max(one[name] for one in rounds[warm:]) > max(one[name] for one in rounds[:warm])
    ]
    values = [one[memory] for one in rounds[warm:]]
    median, grown = statistics.median(values), slope(values) * len(values)
    if grown > GROWTH * median:
        found.append(f"{memory}: grows by {grown / median:.1%} over {len(values)} rounds")
    if max(values) > PEAK * median:
        found.append(f"{memory}: maximum {max(values):.0f}, median {median:.0f}")
    return found


def slope(values: Sequence[float]) -> float:
    """Return the median of the slopes of all pairs of values (Theil-Sen)."""
    pairs = combinations(enumerate(values), 2)
    return statistics.median([(y - x) / (j - i) for (i, x), (j, y) in pairs] or [0])
