"""What many processes (ranks) would take, from parts that were measured with two. A model."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """Measured parts of a map stage, in seconds.

    Attributes:
        start: From the command line until the first batch: Python, imports, the network.
        launch: Start of the processes by the launcher, beside `start`.
        meet: Until all processes of the group have found each other.
        image: Reading, computing and writing of an image, by one process on one core.
        listed: Opening of the data set, for each of its images; every process opens all of it.
        verify: Verifying and publishing of an image by rank 0, while the others wait.
        barrier: One barrier of two processes.
    """

    start: float
    launch: float
    meet: float
    image: float
    listed: float
    verify: float
    barrier: float


@dataclass(frozen=True)
class Network:
    """Connection of the machines: assumed, not measured.

    Attributes:
        latency: Seconds of one message.
        bandwidth: Bytes per second.
    """

    latency: float = 50e-6
    bandwidth: float = 10e9 / 8


def map_stage(parts: Parts, images: int, ranks: int, shard_size: int = 256) -> dict[str, float]:
    """Return the seconds of each part of a map stage.

    Shards are whole, so the slowest process has ceil(shards / ranks) of them; what that takes
    beyond an even share is a part of its own. A barrier takes a round of messages for every
    doubling of the processes.

    Args:
        parts: Measured parts.
        images: Number of images.
        ranks: Number of processes, each with a core of its own.
        shard_size: Images in a shard.
    """
    shards = math.ceil(images / shard_size)
    own = min(images, math.ceil(shards / ranks) * shard_size)
    even = images / ranks
    if ranks == 1:
        several = {"launch and meet": 0.0, "barriers": 0.0}
    else:
        rounds = math.ceil(math.log2(ranks))
        several = {
            "launch and meet": parts.launch + parts.meet * rounds,
            "barriers": parts.barrier * rounds,
        }
    return {
        "start": parts.start,
        **several,
        "open the data": parts.listed * images,
        "images": parts.image * even,
        "whole shards": parts.image * (own - even),
        "verify and publish": parts.verify * images,
    }


def all_reduce(size: float, ranks: int, network: Network) -> float:
    """Return the seconds of a ring all-reduce: 2 (R - 1) messages of size / R bytes.

    Args:
        size: Bytes of the gradients.
        ranks: Number of processes, each on a machine of its own.
        network: Their connection.
    """
    steps = 2 * (ranks - 1)
    return steps * (network.latency + size / ranks / network.bandwidth)


def step(image: float, batch: int, size: float, ranks: int, network: Network) -> dict[str, float]:
    """Return the seconds of a training step: computation, and the all-reduce after it.

    DDP overlaps them, so the sum is an upper bound.

    Args:
        image: Seconds of forward and backward pass of an image.
        batch: Images in a batch of all processes together.
        size: Bytes of the gradients.
        ranks: Number of processes.
        network: Their connection.
    """
    return {
        "images": image * math.ceil(batch / ranks),
        "all-reduce": all_reduce(size, ranks, network),
    }


def speedup(one: dict[str, float], many: dict[str, float]) -> float:
    """Return how many times as fast the second is."""
    return sum(one.values()) / sum(many.values())


def limit(parts: dict[str, float]) -> str:
    """Return the costliest part that more processes do not make shorter."""
    rest = {name: seconds for name, seconds in parts.items() if name != "images"}
    return max(rest, key=rest.__getitem__)
