"""Time the process group of this job; rank 0 prints seconds as JSON. Started by torchrun."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch

from ectool.distributed.group import joined

TIMES = 50
FLOATS = 12_000_000
"""About the weights of ResNet-18."""


def main() -> None:
    began = time.perf_counter()
    with joined() as group:
        meet = max(group.gather(time.perf_counter() - began))
        barrier = _mean(group.barrier, TIMES)
        gradients = torch.ones(FLOATS)
        reduced = _mean(lambda: group.all_reduce(gradients), 5)
        if group.world.is_first:
            size = gradients.numel() * gradients.element_size()
            print(json.dumps({"meet": meet, "barrier": barrier, "bandwidth": size / reduced}))


def _mean(call: Callable[[], None], times: int) -> float:
    call()
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


if __name__ == "__main__":
    main()
