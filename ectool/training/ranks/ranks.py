"""The ranks that train one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ectool.datasets.base import Indices
from ectool.seeding import stream
from ectool.training.batch import Position
from ectool.training.ranks.gradients import add_gradients
from ectool.training.ranks.part import WHOLE, Part, Sums
from ectool.training.ranks.statistics import WholeStatistics

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Ranks:
    """Processes that train one model, each on its part of every batch.

    The model is the same on every rank after each step. Gradients are summed here, not by torch's
    `DistributedDataParallel`: that averages over ranks, whose parts may differ in size, and expects
    one forward pass through its wrapper in each step. Objectives take several, some in evaluation
    mode, differentiate with respect to pixels and activations, and have networks of their own.

    Attributes:
        size: Number of ranks.
        rank: Number of this one.
        sums: Adds tensors over the ranks; None for one process.
    """

    size: int = 1
    rank: int = 0
    sums: Sums | None = None

    @property
    def is_first(self) -> bool:
        """Return whether this rank writes and reports."""
        return self.rank == 0

    @property
    def each(self) -> Part:
        """Return the part of a batch with one row for each rank."""
        return WHOLE if self.sums is None else Part((1,) * self.size, self.rank, self.sums)

    def part_of(self, rows: Indices) -> tuple[Indices, Part]:
        """Return the rows of this rank, and which part of the batch they are.

        Parts differ by at most one row. Where there are fewer rows than ranks, every rank computes
        all of them, and those of the first count.

        Args:
            rows: Rows of the whole batch.
        """
        if self.sums is None or len(rows) < self.size:
            return rows, WHOLE
        parts = np.array_split(rows, self.size)
        sizes = tuple(len(part) for part in parts)
        return parts[self.rank], Part(sizes, self.rank, self.sums)

    def counts(self, part: Part) -> bool:
        """Return whether the rows of this rank count: not where the first computes the same."""
        return part.sums is not None or self.is_first

    @contextmanager
    def step(self, part: Part, position: Position) -> Iterator[None]:
        """Compute a step: with statistics of the whole batch, and the rank's own dropout.

        Args:
            part: The part of the batch.
            position: Position of the step.
        """
        if self.sums is None:
            yield
            return
        number = self.rank if part.sums is not None else 0
        key = stream(position.generator.initial_seed(), number, "dropout")
        torch.manual_seed(int(key.integers(2**63)))
        if part.sums is None:
            yield
            return
        with WholeStatistics(self.each):
            yield

    def add_gradients(self, parameters: Iterable[nn.Parameter], part: Part) -> None:
        """Replace the gradients of parts by those of the whole batch."""
        if self.sums is not None:
            add_gradients(parameters, self.sums, counts=self.counts(part))

    def agreed(self, model: Network) -> Network:
        """Give a model the weights of the first rank: machines may round differently."""
        if self.sums is None:
            return model
        for value in (*model.parameters(), *model.buffers()):
            own = value.detach().contiguous()
            own = own.byte() if own.dtype == torch.bool else own
            given = own if self.is_first else torch.zeros_like(own)
            value.detach().copy_(self.each.total(given))
        return model

    def first(self, number: int) -> int:
        """Return the number that the first rank has."""
        if self.sums is None:
            return number
        return int(self.each.total(torch.tensor(number if self.is_first else 0)))

    def gather(self, values: Float[Tensor, "*n"]) -> Float[Tensor, "r *n"]:
        """Return values of all ranks, which have the same shape."""
        return self.each.whole(values[None])


ALONE = Ranks()
"""One process."""
