"""Gradients of the whole batch: sums over the ranks, in buckets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from ectool.training.ranks.part import Sums

BUCKET = 2**23
"""Number of values in a bucket: large enough that the latency of a sum does not matter."""


def add_gradients(parameters: Iterable[nn.Parameter], sums: Sums, *, counts: bool = True) -> None:
    """Replace the gradients of parameters by their sums over the ranks.

    A parameter without a gradient counts as zero, and stays without one if no rank has one: an
    optimizer leaves it alone then.

    Args:
        parameters: The same on every rank, in the same order.
        sums: Adds tensors over the ranks.
        counts: Whether the gradients of this rank count.
    """
    for bucket in _buckets(parameters):
        has = [float(p.grad is not None and counts) for p in bucket]
        flat = torch.cat([*(_flat(p, counts=counts) for p in bucket), bucket[0].new_tensor(has)])
        sums.all_reduce(flat)
        *parts, found = torch.split(flat, [*(p.numel() for p in bucket), len(bucket)])
        for parameter, part, number in zip(bucket, parts, found, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(part.view_as(parameter))
            elif number > 0:
                parameter.grad = part.view_as(parameter).clone()


def _flat(parameter: nn.Parameter, *, counts: bool) -> Tensor:
    gradient = parameter.grad if counts else None
    return torch.zeros_like(parameter).flatten() if gradient is None else gradient.flatten()


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield parameters that learn, in groups of one type and about one size."""
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        if not parameter.requires_grad:
            continue
        size = sum(p.numel() for p in bucket)
        is_other = bucket and (bucket[0].dtype, bucket[0].device) != (
            parameter.dtype,
            parameter.device,
        )
        if bucket and (is_other or size + parameter.numel() > BUCKET):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket
