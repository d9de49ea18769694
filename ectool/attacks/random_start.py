"""Random numbers of the attacks; they depend on the sample, not on its batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from ectool.errors import InputError
from ectool.seeding import stream

Stream = np.random.Generator
Shape = tuple[int, ...] | torch.Size


def start_streams(sample_ids: Sequence[str], seed: int, restart: int = 0) -> list[Stream]:
    """Return the random number generator of every sample's start.

    Its key is (seed, sample_id, "perturb"), and (seed, sample_id, "perturb", restart) from the
    second start on, so a draw is the same in any batch, order, process and on any device.

    Args:
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the run.
        restart: Index of the start, from 0.
    """
    further = (restart,) if restart else ()
    return [stream(seed, sample_id, "perturb", *further) for sample_id in sample_ids]


def uniform(streams: Sequence[Stream], shape: Shape) -> Float32[Tensor, "n *shape"]:
    """Draw numbers uniformly in [-1, 1).

    Args:
        streams: One generator per sample.
        shape: Shape of the numbers of one sample.
    """
    draws = np.empty((len(streams), *shape), dtype=np.float32)
    for draw, generator in zip(draws, streams, strict=True):
        generator.random(out=draw, dtype=np.float32)
    # 2u - 1 is exact in float32, so all values stay in the interval.
    draws *= 2
    draws -= 1
    return torch.from_numpy(draws)


def normal(streams: Sequence[Stream], shape: Shape) -> Float32[Tensor, "n *shape"]:
    """Draw standard normal numbers; arguments as for `uniform`."""
    draws = np.empty((len(streams), *shape), dtype=np.float32)
    for draw, generator in zip(draws, streams, strict=True):
        generator.standard_normal(out=draw, dtype=np.float32)
    return torch.from_numpy(draws)


def exponential(streams: Sequence[Stream]) -> Float64[Tensor, "n"]:
    """Draw one exponentially distributed number of mean 1 per sample."""
    return torch.tensor([generator.exponential() for generator in streams], dtype=torch.float64)


def random_classes(
    sample_ids: Sequence[str], seed: int, labels: Int64[Tensor, "n"], classes: int
) -> Int64[Tensor, "n"]:
    """Draw a class other than the label for each sample, uniformly.

    Args:
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the run.
        labels: True classes.
        classes: Number of classes, at least 2.
    """
    steps = [stream(seed, name, "target").integers(1, classes) for name in sample_ids]
    return (labels + torch.tensor(steps, dtype=torch.int64).to(labels.device)) % classes


def other_rows(
    sample_ids: Sequence[str],
    seed: int,
    rows: Int64[np.ndarray, "n"],
    length: int,
    purpose: Sequence[str | int] = ("swap",),
) -> Int64[np.ndarray, "n"]:
    """Draw another row of the data for each sample, uniformly, from (seed, sample id, purpose).

    Args:
        sample_ids: Stable identifiers of the samples.
        seed: Seed of the run.
        rows: Rows of the samples.
        length: Number of rows of the data, at least 2.
        purpose: Other purposes give independent rows.

    Raises:
        InputError: There is no other row.
    """
    if length < 2:
        raise InputError(
            "--attack swap",
            expected="at least two images, one of which gives its background to the other",
            got=str(length),
            fix="use more data, or --attack fill",
        )
    steps = [stream(seed, name, *purpose).integers(1, length) for name in sample_ids]
    others: np.ndarray = (rows + np.array(steps)) % length
    return others
