"""Random numbers of the attacks, which belong to the sample and not to the batch it came in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from ectool.seeding import stream

Stream = np.random.Generator
Shape = tuple[int, ...] | torch.Size


def start_streams(sample_ids: Sequence[str], seed: int, restart: int = 0) -> list[Stream]:
    """Return the stream of every sample's random start.

    That of (seed, sample_id, "perturb"), and of (seed, sample_id, "perturb", restart) from the
    second start on, so a draw is the same in any batch, order, process or device.

    Args:
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the whole run.
        restart: Number of the start, from 0.
    """
    further = (restart,) if restart else ()
    return [stream(seed, sample_id, "perturb", *further) for sample_id in sample_ids]


def uniform(streams: Sequence[Stream], shape: Shape) -> Float32[Tensor, "n *shape"]:
    """Draw numbers uniformly in [-1, 1).

    Args:
        streams: One for each sample.
        shape: Shape of a sample's numbers.
    """
    draws = np.empty((len(streams), *shape), dtype=np.float32)
    for draw, own in zip(draws, streams, strict=True):
        own.random(out=draw, dtype=np.float32)
    # 2u - 1 is exact in float32, so no value leaves the interval.
    draws *= 2
    draws -= 1
    return torch.from_numpy(draws)


def normal(streams: Sequence[Stream], shape: Shape) -> Float32[Tensor, "n *shape"]:
    """Draw standard normal numbers; arguments as for `uniform`."""
    draws = np.empty((len(streams), *shape), dtype=np.float32)
    for draw, own in zip(draws, streams, strict=True):
        own.standard_normal(out=draw, dtype=np.float32)
    return torch.from_numpy(draws)


def exponential(streams: Sequence[Stream]) -> Float64[Tensor, "n"]:
    """Draw one exponential number of mean 1 for each sample."""
    return torch.tensor([own.exponential() for own in streams], dtype=torch.float64)


def random_classes(
    sample_ids: Sequence[str], seed: int, labels: Int64[Tensor, "n"], classes: int
) -> Int64[Tensor, "n"]:
    """Draw a class other than its label for each sample, uniformly.

    Args:
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the whole run.
        labels: True classes.
        classes: Number of classes, at least 2.
    """
    steps = [stream(seed, name, "target").integers(1, classes) for name in sample_ids]
    return (labels + torch.tensor(steps, dtype=torch.int64).to(labels.device)) % classes
