"""The rows of a batch that one rank computes, and values over the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.autograd.function import BackwardCFunction

from ectool.models.transfer import to_device

Rows = TypeVar("Rows", Tensor, list[Any])


class Sums(Protocol):
    """Ranks that add tensors."""

    def all_reduce(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all ranks, which give tensors of the same shape."""
        ...


@dataclass(frozen=True)
class Part:
    """Consecutive rows of a batch, which one of several ranks computes.

    The ranks call the same methods in the same order. A part without `sums` is the whole batch of
    one process: then values are returned as they are.

    Attributes:
        sizes: Number of rows of each rank; their order is that of the batch.
        rank: Number of this rank.
        sums: Adds tensors over the ranks; None for one process.
    """

    sizes: tuple[int, ...] = ()
    rank: int = 0
    sums: Sums | None = None

    def count(self, own: int) -> int:
        """Return the number of rows of the whole batch, of which `own` are in this part."""
        return own if self.sums is None else sum(self.sizes)

    def own(self, values: Rows) -> Rows:
        """Return the rows of this part."""
        if self.sums is None:
            return values
        start = sum(self.sizes[: self.rank])
        return values[start : start + self.sizes[self.rank]]

    def draw(self, own: int, draw: Callable[[int], Tensor], device: torch.device) -> Tensor:
        """Draw a value for each row of the whole batch, and return those of this part.

        So each row has the same random numbers for any number of ranks.

        Args:
            own: Number of rows of this part.
            draw: Maps a number of rows to their values, on the CPU.
            device: Device of the result.

        Cost: all ranks draw the values of the whole batch.
        """
        return to_device(self.own(draw(self.count(own))), device)

    def whole(self, values: Tensor) -> Tensor:
        """Return values of all rows of the batch, the same on every rank, with a graph.

        The loss of a step is a weighted sum of the losses of all ranks. So the gradient that comes
        back to the own rows is the sum of the gradients of these rows on all ranks.

        Args:
            values: Values of the own rows.
        """
        if self.sums is None:
            return values
        if values.dtype == torch.bool:
            return self.whole(values.byte()).bool()
        gathered: Tensor = cast(Any, _Whole).apply(values, self)
        return gathered

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a value over the ranks, without a graph."""
        if self.sums is None:
            return value
        summed = value.detach().clone(memory_format=torch.contiguous_format)
        self.sums.all_reduce(summed)
        return summed

    def totals(self, values: list[Tensor]) -> list[Tensor]:
        """Return the sum over the ranks of each value, without a graph, in one message."""
        if self.sums is None:
            return values
        flat = self.total(torch.cat([value.flatten() for value in values]))
        parts = torch.split(flat, [value.numel() for value in values])
        return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]

    def weigh(self, mean: Tensor) -> Tensor:
        """Return the share of this part in the mean over the whole batch; the shares add up to it.

        Args:
            mean: Mean over the own rows.
        """
        if self.sums is None:
            return mean
        return mean * (self.sizes[self.rank] / sum(self.sizes))

    def among(self, chosen: Bool[Tensor, "n"]) -> Part:
        """Return the part of a batch of chosen rows.

        Args:
            chosen: Mask over the rows of the whole batch.
        """
        if self.sums is None:
            return self
        sizes = [int(part.sum()) for part in torch.split(chosen, list(self.sizes))]
        return Part(tuple(sizes), self.rank, self.sums)


WHOLE = Part()
"""The whole batch of one process."""


class _Whole(torch.autograd.Function):
    """Values of all rows from those of each rank; backward adds the gradients of all ranks."""

    @staticmethod
    def forward(ctx: BackwardCFunction, values: Tensor, part: Part) -> Tensor:
        cast(Any, ctx).part = part
        # Sums with zeros, which are exact, need no rows of the same number.
        gathered = values.new_zeros((sum(part.sizes), *values.shape[1:]))
        part.own(gathered).copy_(values)
        _sums(part).all_reduce(gathered)
        return gathered

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> tuple[Tensor, None]:
        part: Part = cast(Any, ctx).part
        summed: Tensor = cast(Any, _Sum).apply(gradients[0], _sums(part))
        return part.own(summed), None


class _Sum(torch.autograd.Function):
    """Sum over the ranks; so is its backward, so that it can be differentiated again."""

    @staticmethod
    def forward(ctx: BackwardCFunction, value: Tensor, sums: Sums) -> Tensor:
        cast(Any, ctx).sums = sums
        summed = value.clone(memory_format=torch.contiguous_format)
        sums.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: BackwardCFunction, *gradients: Tensor) -> tuple[Tensor, None]:
        summed: Tensor = cast(Any, _Sum).apply(gradients[0], cast(Any, ctx).sums)
        return summed, None


def _sums(part: Part) -> Sums:
    if part.sums is None:
        raise ValueError("a part of one process has nothing to add")
    return part.sums
